/**
 * The handshake of one NBD connection, fixed newstyle: bytes in, bytes and an
 * outcome out.
 *
 * The caller sends {@linkcode HandshakeCore.greeting}, puts what arrives into a
 * buffer and asks {@linkcode HandshakeCore.next} until that needs more bytes. A
 * step that opens an export is answered by {@linkcode HandshakeCore.opened}.
 * Malformed data is answered with an error and the handshake goes on; wrong
 * magic, unknown client flags and too many options end it.
 *
 * @module
 */

import {
  decodeInfoRequest,
  decodeMetaContextRequest,
  encodeExportNameAnswer,
  encodeInfoBlockSize,
  encodeInfoExport,
  encodeInfoText,
  encodeMetaContext,
  encodeServer,
  type ExportFacts,
  type InfoRequest,
  NbdInfo,
  TransmissionFlag,
} from "@kedge/schema/wire/nbd/option-data";
import {
  CLIENT_FLAGS_BYTES,
  decodeClientFlags,
  decodeNbdString,
  decodeOptionHeader,
  encodeGreeting,
  encodeNbdString,
  encodeOptionReply,
  NbdOption,
  NbdReply,
  OPTION_HEADER_BYTES,
} from "@kedge/schema/wire/nbd/options";
import type {
  BlockExport,
  BlockExports,
  BlockRefusal,
} from "../block_ports.ts";
import { NBD_PAYLOAD_BYTES_MAX, type NbdLimits } from "./limits.ts";

/** The one metadata context that is offered. */
const ALLOCATION = "base:allocation";
/** Its number, of our choosing. */
const ALLOCATION_ID = 1;

/** What both sides agreed on for the transmission. */
export interface Agreed {
  readonly export: BlockExport;
  /** READ is answered in chunks. */
  readonly structured: boolean;
  /** Number of the context base:allocation, when the client chose it. */
  readonly contextId: number | undefined;
}

/** What is to be done next. */
export type HandshakeStep =
  /** Nothing, until this many bytes are in the buffer. */
  | { readonly kind: "need-data"; readonly bytes: number }
  | { readonly kind: "send"; readonly bytes: Uint8Array<ArrayBuffer> }
  /** Send, then close the connection. */
  | {
    readonly kind: "close";
    readonly bytes: Uint8Array<ArrayBuffer>;
    /** For the log; undefined when the client just left. */
    readonly why: string | undefined;
  }
  /** Open the export and tell {@linkcode HandshakeCore.opened} how it went. */
  | { readonly kind: "open"; readonly export: BlockExport }
  /** Send; the next byte of the client belongs to the transmission. */
  | {
    readonly kind: "enter";
    readonly bytes: Uint8Array<ArrayBuffer>;
    readonly agreed: Agreed;
  };

/** A step, and how many bytes of the buffer it used up. */
export interface Handled {
  readonly consumed: number;
  readonly step: HandshakeStep;
}

const NOTHING = new Uint8Array(0);

/** The state of one handshake. */
export class HandshakeCore {
  readonly #exports: Pick<BlockExports, "list" | "find">;
  readonly #limits: Pick<NbdLimits, "optionBytesMax" | "optionsMax">;
  #noZeroes: boolean | undefined;
  #options = 0;
  #skipBytes = 0;
  #structured = false;
  /** The export, as named by the client, for which the context was chosen. */
  #contextOf: string | undefined;
  #opening:
    | { export: BlockExport; name: string; info: InfoRequest | undefined }
    | undefined;

  /** A handshake at its start. */
  constructor(
    exports: Pick<BlockExports, "list" | "find">,
    limits: Pick<NbdLimits, "optionBytesMax" | "optionsMax">,
  ) {
    this.#exports = exports;
    this.#limits = limits;
  }

  /** What the server says first. */
  greeting(): Uint8Array<ArrayBuffer> {
    return encodeGreeting();
  }

  /** Handle what stands at the front of `input`, at most one option. */
  next(input: Uint8Array): Handled {
    if (this.#noZeroes === undefined) return this.#clientFlags(input);
    if (this.#skipBytes > 0 && input.length > 0) return this.#skip(input);
    if (input.length < OPTION_HEADER_BYTES) return need(OPTION_HEADER_BYTES);
    const header = decodeOptionHeader(input);
    if (header === undefined) return close("an option without its magic");
    const { option, lengthBytes } = header;
    if (lengthBytes > this.#limits.optionBytesMax) return this.#tooBig(header);
    const wholeBytes = OPTION_HEADER_BYTES + lengthBytes;
    if (input.length < wholeBytes) return need(wholeBytes);
    if (++this.#options > this.#limits.optionsMax) {
      return close("too many options");
    }
    const data = input.subarray(OPTION_HEADER_BYTES, wholeBytes);
    return { consumed: wholeBytes, step: this.#answer(option, data) };
  }

  /**
   * Tell how opening the export of the last step went.
   *
   * @param refusal Undefined when it is open.
   */
  opened(refusal: BlockRefusal | undefined): HandshakeStep {
    const opening = this.#opening;
    this.#opening = undefined;
    if (opening === undefined) throw new Error("Cannot enter: nothing opened");
    const { export: found, name, info } = opening;
    if (refusal !== undefined) {
      return info === undefined
        ? { kind: "close", bytes: NOTHING, why: refusal.why }
        : error(NbdOption.GO, NbdReply.ERR_POLICY, refusal.why);
    }
    const agreed: Agreed = {
      export: found,
      structured: this.#structured,
      contextId: this.#contextOf === name ? ALLOCATION_ID : undefined,
    };
    const bytes = info === undefined
      ? encodeExportNameAnswer(this.#facts(found), this.#noZeroes === true)
      : this.#infos(NbdOption.GO, found, info);
    return { kind: "enter", bytes, agreed };
  }

  #clientFlags(input: Uint8Array): Handled {
    if (input.length < CLIENT_FLAGS_BYTES) return need(CLIENT_FLAGS_BYTES);
    const flags = decodeClientFlags(input);
    if (flags === undefined) return close("client flags that were not offered");
    this.#noZeroes = flags.noZeroes;
    return {
      consumed: CLIENT_FLAGS_BYTES,
      step: { kind: "send", bytes: NOTHING },
    };
  }

  #skip(input: Uint8Array): Handled {
    const consumed = Math.min(this.#skipBytes, input.length);
    this.#skipBytes -= consumed;
    return { consumed, step: { kind: "send", bytes: NOTHING } };
  }

  #tooBig(header: { option: number; lengthBytes: number }): Handled {
    // EXPORT_NAME has no error reply, and its name would be too long anyway.
    if (header.option === NbdOption.EXPORT_NAME) {
      return close("an export name that is too long");
    }
    if (++this.#options > this.#limits.optionsMax) {
      return close("too many options");
    }
    this.#skipBytes = header.lengthBytes;
    const why = `an option may carry ${this.#limits.optionBytesMax} bytes`;
    return {
      consumed: OPTION_HEADER_BYTES,
      step: error(header.option, NbdReply.ERR_TOO_BIG, why),
    };
  }

  #answer(option: number, data: Uint8Array): HandshakeStep {
    switch (option) {
      case NbdOption.EXPORT_NAME:
        return this.#exportName(data);
      case NbdOption.ABORT:
        return {
          kind: "close",
          bytes: encodeOptionReply(option, NbdReply.ACK),
          why: undefined,
        };
      case NbdOption.LIST:
        return this.#list(data);
      case NbdOption.INFO:
      case NbdOption.GO:
        return this.#infoOrGo(option, data);
      case NbdOption.STRUCTURED_REPLY:
        if (data.length > 0) return invalid(option, "this option has no data");
        this.#structured = true;
        return { kind: "send", bytes: encodeOptionReply(option, NbdReply.ACK) };
      case NbdOption.LIST_META_CONTEXT:
      case NbdOption.SET_META_CONTEXT:
        return this.#metaContext(option, data);
      default:
        return error(option, NbdReply.ERR_UNSUP, `no option ${option} here`);
    }
  }

  #exportName(data: Uint8Array): HandshakeStep {
    const name = decodeNbdString(data);
    if (name === undefined) return closing("an export name that is no string");
    const found = this.#exports.find(name);
    if (found === undefined) {
      return closing(`no export ${JSON.stringify(name)}`);
    }
    if ("why" in found) return closing(found.why);
    this.#opening = { export: found, name, info: undefined };
    return { kind: "open", export: found };
  }

  #list(data: Uint8Array): HandshakeStep {
    if (data.length > 0) {
      return invalid(NbdOption.LIST, "this option has no data");
    }
    const replies = this.#exports.list().map(({ name, description }) =>
      encodeOptionReply(
        NbdOption.LIST,
        NbdReply.SERVER,
        encodeServer(name, description),
      )
    );
    replies.push(encodeOptionReply(NbdOption.LIST, NbdReply.ACK));
    return { kind: "send", bytes: joined(replies) };
  }

  #infoOrGo(option: number, data: Uint8Array): HandshakeStep {
    const info = decodeInfoRequest(data);
    if (info === undefined) return invalid(option, "malformed data");
    const found = this.#exports.find(info.name);
    if (found === undefined) return unknown(option, info.name);
    if ("why" in found) return error(option, NbdReply.ERR_POLICY, found.why);
    if (option === NbdOption.INFO) {
      return { kind: "send", bytes: this.#infos(option, found, info) };
    }
    this.#opening = { export: found, name: info.name, info };
    return { kind: "open", export: found };
  }

  #metaContext(option: number, data: Uint8Array): HandshakeStep {
    const isSet = option === NbdOption.SET_META_CONTEXT;
    // A new choice replaces the earlier one even when it fails.
    if (isSet) this.#contextOf = undefined;
    if (isSet && !this.#structured) {
      return invalid(option, "structured replies must be agreed first");
    }
    const request = decodeMetaContextRequest(data);
    if (request === undefined) return invalid(option, "malformed data");
    const { name, queries } = request;
    const found = this.#exports.find(name);
    if (found === undefined) return unknown(option, name);
    if ("why" in found) return error(option, NbdReply.ERR_POLICY, found.why);
    const isChosen = queries.includes(ALLOCATION) ||
      !isSet && (queries.length === 0 || queries.includes("base:"));
    const replies: Uint8Array[] = [];
    if (isChosen) {
      const context = encodeMetaContext(isSet ? ALLOCATION_ID : 0, ALLOCATION);
      replies.push(encodeOptionReply(option, NbdReply.META_CONTEXT, context));
    }
    if (isSet && isChosen) this.#contextOf = name;
    replies.push(encodeOptionReply(option, NbdReply.ACK));
    return { kind: "send", bytes: joined(replies) };
  }

  #infos(
    option: number,
    found: BlockExport,
    { kinds }: InfoRequest,
  ): Uint8Array<ArrayBuffer> {
    const infos = [encodeInfoExport(this.#facts(found))];
    if (kinds.has(NbdInfo.NAME)) {
      infos.push(encodeInfoText(NbdInfo.NAME, found.name));
    }
    if (kinds.has(NbdInfo.DESCRIPTION)) {
      infos.push(encodeInfoText(NbdInfo.DESCRIPTION, found.description));
    }
    if (kinds.has(NbdInfo.BLOCK_SIZE)) {
      infos.push(encodeInfoBlockSize({
        minimum: found.minimumBlockBytes,
        preferred: found.preferredBlockBytes,
        maximum: NBD_PAYLOAD_BYTES_MAX,
      }));
    }
    return joined([
      ...infos.map((info) => encodeOptionReply(option, NbdReply.INFO, info)),
      encodeOptionReply(option, NbdReply.ACK),
    ]);
  }

  #facts(found: BlockExport): ExportFacts {
    const flag = TransmissionFlag;
    let flags = flag.HAS_FLAGS | flag.SEND_FLUSH | flag.SEND_FUA |
      flag.SEND_CACHE;
    flags |= found.readOnly
      ? flag.READ_ONLY
      : flag.SEND_TRIM | flag.SEND_WRITE_ZEROES | flag.SEND_FAST_ZERO;
    if (found.multiConn) flags |= flag.CAN_MULTI_CONN;
    if (this.#structured) flags |= flag.SEND_DF;
    return { sizeBytes: found.device.sizeBytes, flags };
  }
}

function need(bytes: number): Handled {
  return { consumed: 0, step: { kind: "need-data", bytes } };
}

function close(why: string): Handled {
  return { consumed: 0, step: closing(why) };
}

function closing(why: string): HandshakeStep {
  return { kind: "close", bytes: NOTHING, why };
}

function invalid(option: number, why: string): HandshakeStep {
  return error(option, NbdReply.ERR_INVALID, why);
}

function unknown(option: number, name: string): HandshakeStep {
  const why = `no export ${JSON.stringify(name)} here`;
  return error(option, NbdReply.ERR_UNKNOWN, why);
}

function error(option: number, type: number, why: string): HandshakeStep {
  const bytes = encodeOptionReply(option, type, encodeNbdString(why));
  return { kind: "send", bytes };
}

function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
