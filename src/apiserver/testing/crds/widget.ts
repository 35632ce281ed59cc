/** A definition with most of what schemas can say, as its YAML stands in a manifest. */
export const widgetDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [wd], categories: [all, toys]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.selector}
    selectableFields: [{jsonPath: .spec.color}]
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
    - {name: Color, type: string, jsonPath: .spec.color, priority: 1}
    - {name: Hosts, type: string, jsonPath: .spec.hosts, priority: 1}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    schema:
      openAPIV3Schema:
        type: object
        description: A Widget is a thing of some size.
        required: [spec]
        properties:
          spec:
            type: object
            description: What the widget is to be.
            required: [size]
            properties:
              size: {type: integer, minimum: 1, maximum: 10, description: How big it is.}
              replicas: {type: integer, default: 1}
              color: {type: string, enum: [red, blue], default: red}
              hosts: {type: array, maxItems: 3, x-kubernetes-list-type: set, items: {type: string, minLength: 1, pattern: '^[a-z.]+$'}}
              weight: {type: number, exclusiveMinimum: true, minimum: 0, multipleOf: 0.5}
              port: {x-kubernetes-int-or-string: true}
              note: {type: string, maxLength: 5, nullable: true}
              when: {type: string, format: date-time}
              free: {type: object, x-kubernetes-preserve-unknown-fields: true}
              labels: {type: object, maxProperties: 2, additionalProperties: {type: string}}
              atom: {type: object, x-kubernetes-map-type: atomic, properties: {a: {type: string}, b: {type: string}}}
              parts:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  required: [name]
                  properties: {name: {type: string}, count: {type: integer, default: 7}}
            x-kubernetes-validations:
            - {rule: 'self.replicas <= self.size', message: no more replicas than size}
            - {rule: 'self.size >= oldSelf.size', messageExpression: '"size cannot shrink from " + string(oldSelf.size)'}
          status:
            type: object
            properties:
              replicas: {type: integer}
              selector: {type: string}
              conditions:
                type: array
                items: {type: object, properties: {type: {type: string}, status: {type: string}}}
  - name: v1beta1
    served: true
    storage: false
    deprecated: true
    schema:
      openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
`;

/** A valid widget. */
export const widget = `
apiVersion: example.com/v1
kind: Widget
metadata: {name: first, labels: {app: w}}
spec:
  size: 3
  hosts: [a.example, b.example]
  parts: [{name: x, count: 2}]
`;
