/**
 * Structures of apiextensions.k8s.io/v1 in the form of structure.ts, without protobuf numbers: definitions are taken as
 * JSON and YAML. The schemas inside (JSONSchemaProps) have unions and read themselves in ../custom/decode.ts.
 */
export const definitionStructure = `
apiextensions.v1.CustomResourceDefinition apiVersion:s=0 kind:s=0 metadata:meta.v1.ObjectMeta=0 spec:apiextensions.v1.CustomResourceDefinitionSpec!=0 status:apiextensions.v1.CustomResourceDefinitionStatus=0
apiextensions.v1.CustomResourceDefinitionSpec group:s!=0 names:apiextensions.v1.CustomResourceDefinitionNames!=0 scope:s!=0 versions:[]apiextensions.v1.CustomResourceDefinitionVersion!=0 conversion:apiextensions.v1.CustomResourceConversion=0 preserveUnknownFields:b=0
apiextensions.v1.CustomResourceDefinitionNames plural:s!=0 singular:s=0 shortNames:[]s=0 kind:s!=0 listKind:s=0 categories:[]s=0
apiextensions.v1.CustomResourceDefinitionVersion name:s!=0 served:b!=0 storage:b!=0 deprecated:b=0 deprecationWarning:s*=0 schema:apiextensions.v1.CustomResourceValidation=0 subresources:apiextensions.v1.CustomResourceSubresources=0 additionalPrinterColumns:[]apiextensions.v1.CustomResourceColumnDefinition=0 selectableFields:[]apiextensions.v1.SelectableField=0
apiextensions.v1.CustomResourceValidation openAPIV3Schema:RawExtension=0
apiextensions.v1.CustomResourceSubresources status:RawExtension=0 scale:apiextensions.v1.CustomResourceSubresourceScale=0
apiextensions.v1.CustomResourceSubresourceScale specReplicasPath:s!=0 statusReplicasPath:s!=0 labelSelectorPath:s*=0
apiextensions.v1.CustomResourceColumnDefinition name:s!=0 type:s!=0 format:s=0 description:s=0 priority:i=0 jsonPath:s!=0
apiextensions.v1.SelectableField jsonPath:s!=0
apiextensions.v1.CustomResourceConversion strategy:s!=0 webhook:apiextensions.v1.WebhookConversion=0
apiextensions.v1.WebhookConversion clientConfig:apiextensions.v1.WebhookClientConfig=0 conversionReviewVersions:[]s!=0
apiextensions.v1.WebhookClientConfig url:s*=0 service:apiextensions.v1.ServiceReference=0 caBundle:y=0
apiextensions.v1.ServiceReference namespace:s!=0 name:s!=0 path:s*=0 port:i*=0
apiextensions.v1.CustomResourceDefinitionStatus conditions:[]apiextensions.v1.CustomResourceDefinitionCondition=0 acceptedNames:apiextensions.v1.CustomResourceDefinitionNames=0 storedVersions:[]s=0 observedGeneration:l=0
apiextensions.v1.CustomResourceDefinitionCondition type:s!=0 status:s!=0 lastTransitionTime:Time=0 reason:s=0 message:s=0 observedGeneration:l=0
`;
