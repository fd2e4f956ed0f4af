/**
 * The sides of a resource: `on`, `floating` and `stacked-on-top-of`.
 *
 * @module
 */

import type {
  HostSection,
  ProxySection,
  Setting,
  VolumeSection,
} from "./ast.ts";
import { refusal, unexpected } from "./errors.ts";
import type { Token } from "./lexer.ts";
import { HOSTS_MAX, NODE_ID_MAX, VOLUMES_MAX } from "./limits.ts";
import { readAddress } from "./parse_address.ts";
import { readOptions } from "./parse_options.ts";
import {
  newVolume,
  readVolume,
  readVolumeWord,
  VOLUME_WORDS,
  type VolumeDraft,
} from "./parse_volume.ts";
import {
  describe,
  expectInteger,
  expectMark,
  expectName,
  type ParserContext,
  readBlock,
} from "./parser_context.ts";
import { skipProse, skipSection } from "./skip.ts";
import { place, type Uses } from "./uses.ts";

/** What drbdadm 8.4 says it expects in a host section. */
const EXPECTED = "disk | device | address | meta-disk | flexible-meta-disk";

type Draft =
  & {
    -readonly [K in keyof HostSection]: HostSection[K];
  }
  & { volumes: VolumeSection[] };

interface HostTarget {
  readonly host: Draft;
  readonly uses: Uses;
  /** Path of sections for messages, such as `r0:alice`. */
  readonly path: string;
  implicit: VolumeDraft | undefined;
}

/** Reads a host section, whose first word was taken. */
export function readHost(
  context: ParserContext,
  first: Token,
  uses: Uses,
): HostSection {
  const host = readHead(context, first);
  const resource = context.resource ?? "";
  const label = hostLabel(host);
  for (const name of labels(host)) {
    uses.claim("host section", `${resource}: ${name}`, first);
  }
  const path = `${resource}:${label}`;
  const target: HostTarget = { host, uses, path, implicit: undefined };
  expectMark(context, "{");
  readBlock(context, (token) => readStatement(context, token, target));
  if (target.implicit !== undefined) host.volumes.unshift(target.implicit);
  return host;
}

/** How messages call a host: its names, its address, or what it stands on. */
export function hostLabel(host: HostSection): string {
  if (host.kind === "stacked") return host.lower ?? "";
  if (host.kind === "on") return host.names.join(" ");
  const address = host.address?.value;
  return address === undefined ? "" : `${address.ip}:${address.port}`;
}

function labels(host: HostSection): string[] {
  if (host.kind === "on") return host.names.map((name) => `on ${name}`);
  return [`${host.kind} ${hostLabel(host)}`];
}

function readHead(context: ParserContext, first: Token): Draft {
  const host: Draft = {
    ...place(first),
    kind: "on",
    names: [],
    volumes: [],
    sections: {},
  };
  if (first.text === "floating") {
    host.kind = "floating";
    const at = place(context.lexer.peek());
    host.address = { ...at, value: readAddress(context) };
  } else if (first.text === "stacked-on-top-of") {
    host.kind = "stacked";
    host.lower = expectName(context, "TK_STRING").text;
  } else {
    host.names = readNames(context);
  }
  return host;
}

function readNames(context: ParserContext): string[] {
  const names = [expectName(context, "TK_STRING | '{'").text];
  while (context.lexer.peek().text !== "{") {
    const token = expectName(context, "TK_STRING | '{'");
    if (names.length >= HOSTS_MAX) throw refusal(token, "too many host names");
    names.push(token.text);
  }
  return names;
}

function readStatement(
  context: ParserContext,
  token: Token,
  target: HostTarget,
): void {
  const word = token.kind === "word" ? token.text : "";
  if (VOLUME_WORDS.has(word)) {
    target.implicit ??= newVolume(0, token, true);
    const { uses, path, implicit: draft } = target;
    readVolumeWord(context, token, { draft, uses, path, mayRepeat: false });
    skipProse(context, (next) => isHostWord(next));
    return;
  }
  switch (word) {
    case "volume":
      if (target.host.volumes.length >= VOLUMES_MAX) {
        throw refusal(token, "too many volumes");
      }
      target.host.volumes.push(
        readVolume(context, token, target),
      );
      return;
    case "address":
      readHostAddress(context, token, target);
      return;
    case "node-id":
      readNodeId(context, token, target);
      return;
    case "options":
      readHostOptions(context, token, target);
      return;
    case "proxy":
      target.uses.claim("proxy section", `${target.path}:proxy`, token);
      target.host.proxy = readProxy(context, token);
      return;
    case "skip":
      skipSection(context);
      return;
  }
  throw unexpected(token, EXPECTED, describe(token));
}

function isHostWord(token: Token): boolean {
  return token.kind === "word" && (VOLUME_WORDS.has(token.text) ||
    ["volume", "address", "node-id", "options", "proxy", "skip"]
      .includes(token.text));
}

function readHostAddress(
  context: ParserContext,
  token: Token,
  target: HostTarget,
): void {
  target.uses.claim("address statement", `${target.path}:address`, token);
  target.host.address = { ...place(token), value: readAddress(context) };
  expectMark(context, ";");
  skipProse(context, (next) => isHostWord(next));
}

function readNodeId(
  context: ParserContext,
  token: Token,
  target: HostTarget,
): void {
  target.uses.claim("node-id statement", `${target.path}:node-id`, token);
  const value = expectInteger(context, "node-id", [0, NODE_ID_MAX]);
  target.host.nodeId = { ...place(token), value };
  target.uses.claim("node-id", `${context.resource ?? ""}:${value}`, token);
  expectMark(context, ";");
}

function readHostOptions(
  context: ParserContext,
  token: Token,
  target: HostTarget,
): void {
  target.uses.claim("options section", `${target.path}:options`, token);
  const options: Setting[] = [];
  expectMark(context, "{");
  readOptions(context, "options", (_section, setting) => options.push(setting));
  target.host.sections = { options };
}

function readProxy(context: ParserContext, first: Token): ProxySection {
  const on = context.lexer.next();
  if (on.text !== "on") throw unexpected(on, "on", describe(on));
  const hosts = readNames(context);
  expectMark(context, "{");
  const ends: Partial<Record<"inside" | "outside", ProxySection["inside"]>> =
    {};
  readBlock(context, (token) => {
    if (token.text === "options") {
      skipSection(context);
    } else if (token.text === "inside" || token.text === "outside") {
      ends[token.text] = readAddress(context);
      expectMark(context, ";");
    } else {throw unexpected(
        token,
        "inside | outside | options",
        describe(token),
      );}
  });
  const { inside, outside } = ends;
  if (inside === undefined || outside === undefined) {
    throw refusal(first, "a proxy needs both 'inside' and 'outside'");
  }
  return { ...place(first), hosts, inside, outside };
}
