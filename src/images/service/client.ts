import { request as httpRequest, type IncomingMessage } from "node:http";
import { type ImageAnswer, type ImageRequest, type ImagesState, MAX_ANSWER } from "./protocol.ts";

/** A node's way to whoever pulls images for it. */
export class ImageClient {
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  /**
   * Asks for an image; a pull takes as long as it takes.
   * @param signal the image is not wanted any more
   * @throws Error when nobody is there, or the signal has come
   */
  async pull(request: ImageRequest, signal?: AbortSignal): Promise<ImageAnswer> {
    return (await this.#ask("POST", "/v1/pull", JSON.stringify(request), signal)) as ImageAnswer;
  }

  /** What is there. @throws Error when nobody is there */
  async state(): Promise<ImagesState> {
    return (await this.#ask("GET", "/v1/state")) as ImagesState;
  }

  async #ask(method: string, path: string, body?: string, signal?: AbortSignal): Promise<unknown> {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const way = { socketPath: this.#socket, method, path, agent: false };
      const sent = httpRequest({ ...way, ...(signal ? { signal } : {}) }, resolve);
      sent.once("error", reject);
      sent.end(body);
    });
    let text = "";
    for await (const chunk of answer.setEncoding("utf8") as AsyncIterable<string>) {
      text += chunk;
      if (text.length > MAX_ANSWER) throw new Error("the answer about images is too long");
    }
    if (answer.statusCode !== 200) throw new Error(text.trim());
    return JSON.parse(text);
  }
}
