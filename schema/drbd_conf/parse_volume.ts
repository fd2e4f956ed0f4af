/**
 * What is said about a volume: `device`, `disk`, `meta-disk`, and the block
 * `volume N { … }`.
 *
 * @module
 */

import type { Device, MetaDisk, Setting, VolumeSection } from "./ast.ts";
import { ParseError, type Place, unexpected } from "./errors.ts";
import type { Token } from "./lexer.ts";
import { MINOR_MAX, VOLUME_MAX } from "./limits.ts";
import { readOptions } from "./parse_options.ts";
import {
  acceptMark,
  acceptWord,
  describe,
  expectInteger,
  expectMark,
  expectName,
  isText,
  type ParserContext,
  readBlock,
} from "./parser_context.ts";
import { place, type Uses } from "./uses.ts";

/** A volume while it is read. */
export type VolumeDraft = {
  -readonly [K in keyof VolumeSection]: VolumeSection[K];
};

/** Words that begin a statement about a volume. */
export const VOLUME_WORDS: ReadonlySet<string> = new Set([
  "device",
  "disk",
  "meta-disk",
  "flexible-meta-disk",
]);

/** Where statements of a volume are collected. */
export interface VolumeTarget {
  /** The volume. */
  readonly draft: VolumeDraft;
  /** Names that may be used once. */
  readonly uses: Uses;
  /** Path of sections for messages, such as `r0:alice`. */
  readonly path: string;
  /** DRBD takes `disk` and `meta-disk` twice, but not directly in a host. */
  readonly mayRepeat: boolean;
}

/** An empty volume. */
export function newVolume(
  volume: number,
  at: Place,
  isImplicit: boolean,
): VolumeDraft {
  return { ...place(at), volume, isImplicit };
}

/** Reads `device`, `disk DEV` or `meta-disk`, whose first word was taken. */
export function readVolumeWord(
  context: ParserContext,
  first: Token,
  target: VolumeTarget,
): void {
  const { draft, uses, path } = target;
  const word = first.text.replace("flexible-", "");
  const at = place(first);
  const earlier = word === "disk" ? draft.disk : draft.metaDisk;
  if (word !== "device" && target.mayRepeat && earlier !== undefined) {
    context.warnings.add("duplicate-option", {
      ...at,
      text: `${word} is also set in line ${earlier.line} of ` +
        `${earlier.file}; the last one counts`,
    }, { resource: context.resource });
  } else uses.claim(`${word} statement`, `${path}:${word}`, first);
  if (word === "device") {
    draft.device = { ...at, value: readDevice(context, first) };
  } else if (word === "disk") {
    draft.disk = { ...at, value: expectName(context, "TK_STRING | {").text };
  } else {
    draft.metaDisk = { ...at, value: readMetaDisk(context) };
  }
  expectMark(context, ";");
}

/** Reads `volume N { … }`, whose first word was taken. */
export function readVolume(
  context: ParserContext,
  first: Token,
  parent: Pick<VolumeTarget, "uses" | "path">,
): VolumeSection {
  const volume = expectInteger(context, "volume", [0, VOLUME_MAX]);
  const path = `${parent.path}:volume ${volume}`;
  parent.uses.claim("volume section", path, first);
  expectMark(context, "{");
  const draft = newVolume(volume, first, false);
  const target = { uses: parent.uses, draft, path, mayRepeat: true };
  readBlock(context, (token) => {
    if (token.kind === "word" && token.text === "disk") {
      readDiskOrOptions(context, token, target);
    } else if (token.kind === "word" && VOLUME_WORDS.has(token.text)) {
      readVolumeWord(context, token, target);
    } else {
      throw unexpected(
        token,
        "device | disk | meta-disk | flexible-meta-disk",
        describe(token),
      );
    }
  });
  return draft;
}

/** `disk DEV;` or `disk { … }` of a volume, whose first word was taken. */
function readDiskOrOptions(
  context: ParserContext,
  first: Token,
  target: VolumeTarget,
): void {
  if (!acceptMark(context, "{")) {
    readVolumeWord(context, first, target);
    return;
  }
  target.uses.claim("disk section", `${target.path}:disk`, first);
  const options: Setting[] = [];
  readOptions(context, "disk", (_section, setting) => options.push(setting));
  target.draft.options = options;
}

function readDevice(context: ParserContext, first: Token): Device {
  const path = context.lexer.peek().text === "minor"
    ? undefined
    : devicePath(context, first);
  const named = path === undefined ? undefined : minorOf(path);
  if (!acceptWord(context, "minor")) {
    if (named !== undefined && named <= MINOR_MAX) {
      return { path, minor: named };
    }
    throw refuse(
      first,
      "no minor given nor device name contains a minor number",
    );
  }
  const minor = expectInteger(context, "minor", [0, MINOR_MAX]);
  if (path === undefined || named === minor || isFreeName(path)) {
    return { path, minor };
  }
  throw refuse(
    first,
    "explicit minor number must match with device name\n" +
      `\tTry "device /dev/drbd${minor} minor ${minor};",\n` +
      "\tor leave off either device name or explicit minor.\n" +
      "\tArbitrary device names must start with /dev/drbd_\n" +
      "\tmind the '_'! (/dev/ is optional, but drbd_ is required)",
  );
}

function devicePath(context: ParserContext, first: Token): string {
  const token = context.lexer.next();
  if (!isText(token)) {
    throw unexpected(token, "device name | minor", describe(token));
  }
  const name = token.text.replace(/^\/dev\//, "");
  // Names become paths of symbolic links, so nothing may leave /dev.
  if (/^drbd[A-Za-z0-9._+-]*(\/[A-Za-z0-9_+-][A-Za-z0-9._+-]*)*$/.test(name)) {
    return `/dev/${name}`;
  }
  throw refuse(
    first,
    "device name must start with /dev/drbd\n" +
      "\t(/dev/ is optional, but drbd is required)",
  );
}

function minorOf(path: string): number | undefined {
  const digits = /^\/dev\/drbd(\d{1,7})$/.exec(path)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** `/dev/drbd_NAME` may have any minor. */
function isFreeName(path: string): boolean {
  return path.startsWith("/dev/drbd_");
}

function readMetaDisk(context: ParserContext): MetaDisk {
  const token = expectName(context, "internal | TK_STRING");
  if (token.text === "internal") {
    return { kind: "internal" };
  }
  if (!acceptMark(context, "[")) return { kind: "flexible", path: token.text };
  const index = expectInteger(context, "meta-disk index", [0, 255]);
  expectMark(context, "]");
  return { kind: "indexed", path: token.text, index };
}

function refuse(at: Place, text: string): ParseError {
  return new ParseError([{ ...place(at), text }]);
}
