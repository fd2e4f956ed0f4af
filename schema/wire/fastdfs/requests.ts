/**
 * Bodies of clients' requests, up to the content of a file.
 *
 * Every function returns `undefined` for what is malformed: status 22. Nothing
 * here decides whether a file or a group exists. Source: fastdfs-protocol.md §3
 * and §5.
 *
 * @module
 */

import {
  EXTENSION_BYTES,
  GROUP_BYTES,
  NAME_BYTES_MAX,
  PREFIX_BYTES,
  readGroup,
  readText,
  readU64,
} from "./fields.ts";

/** Bytes before the content of an upload. */
export const UPLOAD_HEAD_BYTES = 15;
/** Bytes before the master's name of a slave upload. */
export const SLAVE_HEAD_BYTES = 16 + PREFIX_BYTES + EXTENSION_BYTES;
/** Bytes before the name of an append or a truncate. */
export const APPEND_HEAD_BYTES = 16;
/** Bytes before the name of a modify. */
export const MODIFY_HEAD_BYTES = 24;
/** Bytes before the name of a change of metadata. */
export const META_HEAD_BYTES = 17 + GROUP_BYTES;
/** Bytes before the name of a download. */
export const DOWNLOAD_HEAD_BYTES = 16 + GROUP_BYTES;
/** Index of a store path that lets the server choose. */
export const ANY_PATH = 0xff;

/** Shortest body of a query for a file. Source: `Mxx/HH/LL/` and a name. */
/** Longest address with its port, in bytes. */
const ADDRESS_BYTES_MAX = 63;
const QUERY_BYTES_MIN = 38;
/** A query for a file is shorter than this. */
const QUERY_BYTES_END = 144;

/** A file by group and name. */
export interface NamedFile {
  readonly group: string;
  /** Such as `M00/00/00/….txt`: not checked, no path. */
  readonly name: string;
}

/** Head of an upload. */
export interface UploadHead {
  /** `undefined` lets the server choose. */
  readonly pathIndex: number | undefined;
  readonly sizeBytes: number;
  /** Without its dot; "" is none. */
  readonly extension: string;
}

/** Head of the upload of a slave file. */
export interface SlaveHead {
  /** Length of the master's name, in bytes. */
  readonly nameBytes: number;
  readonly sizeBytes: number;
  readonly prefix: string;
  readonly extension: string;
}

/** Head of an append, or of a truncate. */
export interface SizedHead {
  readonly nameBytes: number;
  /** Bytes to append, or the length to have. */
  readonly sizeBytes: number;
}

/** Head of a modify. */
export interface ModifyHead extends SizedHead {
  /** Where the bytes go. */
  readonly offset: number;
}

/** Head of a change of metadata. */
export interface MetaHead {
  readonly nameBytes: number;
  readonly metaBytes: number;
  readonly how: "overwrite" | "merge";
  readonly group: string;
}

/** Which part of which file. */
export interface DownloadHead extends NamedFile {
  readonly offset: number;
  /** 0 is up to the end. */
  readonly lengthBytes: number;
}

/** `group[16] name`, as most commands of a storage have it. */
export function readNamedFile(body: Uint8Array): NamedFile | undefined {
  const group = readGroup(body);
  const lengthBytes = body.length - GROUP_BYTES;
  const name = readName(body, GROUP_BYTES, lengthBytes);
  return group === undefined || name === undefined ? undefined : {
    group,
    name,
  };
}

/** The same as a query of a tracker, whose length has other bounds. */
export function readFileQuery(body: Uint8Array): NamedFile | undefined {
  if (body.length < QUERY_BYTES_MIN || body.length >= QUERY_BYTES_END) {
    return undefined;
  }
  return readNamedFile(body);
}

/** `group[16]` alone. */
export function readGroupAlone(body: Uint8Array): string | undefined {
  return body.length === GROUP_BYTES ? readGroup(body) : undefined;
}

/** `group[16]` and the ID of a storage, which may be missing. */
export function readGroupMember(
  body: Uint8Array,
): { readonly group: string; readonly id: string } | undefined {
  if (body.length < GROUP_BYTES || body.length >= 2 * GROUP_BYTES) {
    return undefined;
  }
  const group = readGroup(body);
  const id = readText(body, GROUP_BYTES, GROUP_BYTES - 1);
  return group === undefined ? undefined : { group, id };
}

/**
 * `group[16]` and an address: `IP`, `IP:PORT` or `[IPv6]:PORT`.
 *
 * @returns The address without its port.
 */
export function readGroupAddress(
  body: Uint8Array,
): { readonly group: string; readonly ip: string } | undefined {
  const length = body.length - GROUP_BYTES;
  if (length < 1 || length > ADDRESS_BYTES_MAX) return undefined;
  const group = readGroup(body);
  const text = readText(body, GROUP_BYTES, length);
  const ip = /^\[(.*)\](?::\d*)?$/.exec(text)?.[1] ??
    text.replace(/^([^:]*):\d*$/, "$1");
  return group === undefined || ip === "" ? undefined : { group, ip };
}

/** A name of a length that was announced. */
export function readName(
  bytes: Uint8Array,
  at: number,
  lengthBytes: number,
): string | undefined {
  if (!isNameLength(lengthBytes)) return undefined;
  const text = readText(bytes, at, lengthBytes);
  return text.length === lengthBytes ? text : undefined;
}

/** Head of an upload: `path[1] size[8] ext[6]`. */
export function readUploadHead(bytes: Uint8Array): UploadHead | undefined {
  const [pathIndex = ANY_PATH] = bytes;
  const sizeBytes = readU64(bytes, 1);
  if (sizeBytes === undefined) return undefined;
  return {
    pathIndex: pathIndex === ANY_PATH ? undefined : pathIndex,
    sizeBytes,
    extension: readText(bytes, 9, EXTENSION_BYTES),
  };
}

/** Head of a slave upload: `name_len[8] size[8] prefix[16] ext[6]`. */
export function readSlaveHead(bytes: Uint8Array): SlaveHead | undefined {
  const head = readSizedHead(bytes);
  return head && {
    ...head,
    prefix: readText(bytes, 16, PREFIX_BYTES),
    extension: readText(bytes, 16 + PREFIX_BYTES, EXTENSION_BYTES),
  };
}

/** Head of an append or truncate: `name_len[8] size[8]`. */
export function readSizedHead(bytes: Uint8Array): SizedHead | undefined {
  const nameBytes = readU64(bytes, 0);
  const sizeBytes = readU64(bytes, 8);
  if (sizeBytes === undefined || !isNameLength(nameBytes)) return undefined;
  return { nameBytes, sizeBytes };
}

/** Head of a modify: `name_len[8] offset[8] size[8]`. */
export function readModifyHead(bytes: Uint8Array): ModifyHead | undefined {
  const nameBytes = readU64(bytes, 0);
  const offset = readU64(bytes, 8);
  const sizeBytes = readU64(bytes, 16);
  if (offset === undefined || sizeBytes === undefined) return undefined;
  return isNameLength(nameBytes) ? { nameBytes, offset, sizeBytes } : undefined;
}

/** Head of new metadata: `name_len[8] meta_len[8] flag[1] group[16]`. */
export function readMetaHead(bytes: Uint8Array): MetaHead | undefined {
  const nameBytes = readU64(bytes, 0);
  const metaBytes = readU64(bytes, 8);
  const flag = String.fromCharCode(bytes[16] ?? 0);
  const group = readGroup(bytes, 17);
  if (metaBytes === undefined || group === undefined) return undefined;
  if (!isNameLength(nameBytes) || (flag !== "O" && flag !== "M")) {
    return undefined;
  }
  return {
    nameBytes,
    metaBytes,
    how: flag === "O" ? "overwrite" : "merge",
    group,
  };
}

/** A whole download: `offset[8] bytes[8] group[16] name`. */
export function readDownload(body: Uint8Array): DownloadHead | undefined {
  const offset = readU64(body, 0);
  const lengthBytes = readU64(body, 8);
  const file = readNamedFile(body.subarray(16));
  if (offset === undefined || lengthBytes === undefined) return undefined;
  return file && { ...file, offset, lengthBytes };
}

function isNameLength(bytes: number | undefined): bytes is number {
  return bytes !== undefined && bytes >= 1 && bytes <= NAME_BYTES_MAX;
}
