/**
 * The body of a form as one stream of file content and a few small fields.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { Problem } from "@kedge/schema";
import type { GuardedBody } from "./body_guard.ts";
import type { DigestCheck } from "./digests.ts";
import { FORM_MARGIN_BYTES_MAX, MultipartParser } from "./multipart_parser.ts";
import { FORM_PARTS_MAX, PART_HEAD_BYTES_MAX } from "./multipart_parser.ts";
import type { FormEvent } from "./multipart_parser.ts";
import type { PartHead } from "./part_head.ts";

/** Most bytes of a small field. */
export const FIELD_BYTES_MAX = 4096;

/** Most bytes that a form adds to its file. */
export const FORM_OVERHEAD_BYTES_MAX: number =
  FORM_PARTS_MAX * (PART_HEAD_BYTES_MAX + FIELD_BYTES_MAX) +
  2 * FORM_MARGIN_BYTES_MAX;

/** The next thing in a form. */
export type FormItem =
  /** The file: its stream must be read to the end before the next item. */
  | {
    readonly kind: "file";
    readonly head: PartHead;
    readonly stream: ReadableStream<Uint8Array>;
  }
  | { readonly kind: "field"; readonly name: string; readonly value: string };

/** Reads the parts of a form one after the other. */
export class FormBody {
  readonly #body: GuardedBody;
  readonly #check: DigestCheck;
  readonly #parser: MultipartParser;
  #events: FormEvent[] = [];
  #hasFile = false;

  /**
   * Read a form.
   *
   * @param body Its bytes.
   * @param boundary What separates its parts.
   * @param check Sees every byte, as checksums in the headers of the request
   * are about the whole body.
   */
  constructor(body: GuardedBody, boundary: string, check: DigestCheck) {
    this.#body = body;
    this.#check = check;
    this.#parser = new MultipartParser(boundary);
  }

  /**
   * The next part.
   *
   * @returns `undefined` once the form is complete and its body ended.
   * @throws {Problem} `invalid-request`, `incomplete-body`.
   */
  async next(): Promise<FormItem | undefined> {
    const event = await this.#next();
    switch (event.kind) {
      case "part":
        return isFile(event.head)
          ? this.#file(event.head)
          : await this.#field(event.head);
      case "end":
        await this.#skipEpilogue();
        return undefined;
      default:
        throw new Error("a part was not read to its end");
    }
  }

  #file(head: PartHead): FormItem {
    if (this.#hasFile) {
      throw new Problem(
        "unsupported-media-type",
        "The form has more than one file: send one form for each",
      );
    }
    this.#hasFile = true;
    const stream = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        const event = await this.#next();
        if (event.kind === "data") controller.enqueue(event.bytes);
        else controller.close();
      },
    }, { highWaterMark: 0 });
    return { kind: "file", head, stream };
  }

  async #field({ name }: PartHead): Promise<FormItem> {
    const pieces: Uint8Array[] = [];
    let sizeBytes = 0;
    for (;;) {
      const event = await this.#next();
      if (event.kind !== "data") break;
      sizeBytes += event.bytes.length;
      if (sizeBytes > FIELD_BYTES_MAX) {
        throw new Problem(
          "invalid-request",
          `A field of the form is longer than ${FIELD_BYTES_MAX} bytes`,
        );
      }
      pieces.push(event.bytes);
    }
    return { kind: "field", name, value: Buffer.concat(pieces).toString() };
  }

  async #next(): Promise<FormEvent> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      const bytes = await this.#body.next();
      if (bytes === undefined) {
        this.#parser.finish();
        throw new Error("the form goes on after its end");
      }
      this.#check.update(bytes);
      this.#events = this.#parser.push(bytes);
    }
  }

  async #skipEpilogue(): Promise<void> {
    for (;;) {
      const bytes = await this.#body.next();
      if (bytes === undefined) return;
      this.#check.update(bytes);
      this.#parser.push(bytes);
    }
  }
}

/** Whether a part is the file: it has a file name, or is called `file`. */
function isFile({ name, fileName }: PartHead): boolean {
  return fileName !== undefined || name === "file";
}
