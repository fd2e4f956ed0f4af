/**
 * `resource NAME { … }` and `common { … }`.
 *
 * @module
 */

import type {
  ConnectionSection,
  HostSection,
  MeshSection,
  ProxyOptions,
  ResourceSection,
  Sections,
  Setting,
  VolumeSection,
} from "./ast.ts";
import { refusal, unexpected } from "./errors.ts";
import type { Token } from "./lexer.ts";
import { CONNECTIONS_MAX, HOSTS_MAX, VOLUMES_MAX } from "./limits.ts";
import type { SectionName } from "./options/aliases.ts";
import { PROXY_OPTIONS } from "./options/global.ts";
import { NET_OPTIONS } from "./options/net.ts";
import { readConnection, readMesh } from "./parse_connection.ts";
import { readHost } from "./parse_host.ts";
import { readOptions, readValues } from "./parse_options.ts";
import {
  newVolume,
  readVolume,
  readVolumeWord,
  VOLUME_WORDS,
  type VolumeDraft,
} from "./parse_volume.ts";
import {
  acceptMark,
  describe,
  expectMark,
  expectName,
  expectText,
  isText,
  type ParserContext,
  readBlock,
  readOpenBlock,
} from "./parser_context.ts";
import { skipProse, skipSection } from "./skip.ts";
import { place, type Uses } from "./uses.ts";

/** What drbdadm says it expects in a resource. */
const EXPECTED =
  "protocol | on | disk | net | syncer | startup | handlers | connection | ignore-on | stacked-on-top-of | skip";

const SECTION_WORDS: ReadonlySet<string> = new Set([
  "net",
  "disk",
  "options",
  "startup",
  "handlers",
  "syncer",
]);

interface Draft {
  readonly sections: Partial<Record<SectionName, Setting[]>>;
  readonly volumes: VolumeSection[];
  readonly hosts: HostSection[];
  readonly ignoredOn: string[];
  readonly connections: ConnectionSection[];
  readonly meshes: MeshSection[];
  proxy: ProxyOptions | undefined;
  implicit: VolumeDraft | undefined;
}

interface Target {
  readonly draft: Draft;
  readonly uses: Uses;
  /** Name for messages: the resource's, or `common`. */
  readonly path: string;
}

function newTarget(uses: Uses, path: string): Target {
  const draft: Draft = {
    sections: {},
    volumes: [],
    hosts: [],
    ignoredOn: [],
    connections: [],
    meshes: [],
    proxy: undefined,
    implicit: undefined,
  };
  return { draft, uses, path };
}

/** Reads `resource NAME { … }`, whose first word was taken. */
export function readResource(
  outer: ParserContext,
  first: Token,
  uses: Uses,
): ResourceSection {
  const name = readName(outer);
  const context = { ...outer, resource: name };
  uses.claim("resource section", name, first);
  const target = newTarget(uses, name);
  expectMark(context, "{");
  readOpenBlock(context, (token) => readStatement(context, token, target));
  const { draft } = target;
  const volumes = draft.implicit === undefined
    ? draft.volumes
    : [draft.implicit, ...draft.volumes];
  return {
    ...place(first),
    name,
    sections: draft.sections,
    volumes,
    hosts: draft.hosts,
    ignoredOn: draft.ignoredOn,
    connections: draft.connections,
    meshes: draft.meshes,
    ...(draft.proxy === undefined ? {} : { proxy: draft.proxy }),
  };
}

/** Reads `common { … }`, whose first word was taken. */
export function readCommon(
  context: ParserContext,
  first: Token,
  uses: Uses,
): Sections & { readonly proxy?: ProxyOptions } {
  uses.claim("resource section", "common", first);
  const target = newTarget(uses, "common");
  expectMark(context, "{");
  readOpenBlock(context, (token) => {
    if (readCommonStatement(context, token, target)) return;
    throw unexpected(
      token,
      "protocol | disk | net | options | syncer | startup | handlers | proxy",
      describe(token),
    );
  });
  const { sections, proxy } = target.draft;
  return { ...sections, ...(proxy === undefined ? {} : { proxy }) };
}

/** Whether a resource may have this name: it becomes a part of paths. */
export function isResourceName(text: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(text);
}

function readName(context: ParserContext): string {
  const token = expectName(context, "TK_STRING");
  if (isResourceName(token.text)) return token.text;
  throw refusal(
    token,
    `resource name '${token.text}' must consist of letters, digits, '.', '_' and '-'`,
  );
}

/** What `common` and `resource` have in common. */
function readCommonStatement(
  context: ParserContext,
  token: Token,
  target: Target,
): boolean {
  const word = token.kind === "word" ? token.text : "";
  if (word === "protocol") readProtocol(context, token, target);
  else if (word === "proxy") readProxy(context, token, target);
  else if (word === "skip") skipSection(context);
  else if (SECTION_WORDS.has(word)) {
    expectMark(context, "{");
    readSection(context, token, target);
  } else return false;
  return true;
}

function readStatement(
  context: ParserContext,
  token: Token,
  target: Target,
): void {
  const word = token.kind === "word" ? token.text : "";
  if (word === "disk" && acceptMark(context, "{")) {
    readSection(context, token, target);
  } else if (VOLUME_WORDS.has(word)) {
    readImplicitVolume(context, token, target);
  } else if (!readCommonStatement(context, token, target)) {
    readOwnStatement(context, token, target);
  }
}

function readOwnStatement(
  context: ParserContext,
  token: Token,
  { draft, uses, path }: Target,
): void {
  switch (token.kind === "word" ? token.text : "") {
    case "on":
    case "floating":
    case "stacked-on-top-of":
      refuseMore(token, draft.hosts, HOSTS_MAX);
      draft.hosts.push(readHost(context, token, uses));
      return;
    case "volume":
      refuseMore(token, draft.volumes, VOLUMES_MAX);
      draft.volumes.push(
        readVolume(context, token, { uses, path }),
      );
      return;
    case "connection":
      refuseMore(token, draft.connections, CONNECTIONS_MAX);
      draft.connections.push(readConnection(context, token));
      return;
    case "connection-mesh":
      refuseMore(token, draft.meshes, CONNECTIONS_MAX);
      draft.meshes.push(readMesh(context, token));
      return;
    case "ignore-on":
      refuseMore(token, draft.ignoredOn, HOSTS_MAX);
      draft.ignoredOn.push(expectText(context, "host name").text);
      expectMark(context, ";");
      return;
  }
  throw unexpected(token, EXPECTED, describe(token));
}

function refuseMore(
  token: Token,
  list: readonly unknown[],
  max: number,
): void {
  if (list.length < max) return;
  throw refusal(token, `more than ${max} of '${token.text}'`);
}

function readImplicitVolume(
  context: ParserContext,
  token: Token,
  target: Target,
): void {
  const { draft, uses, path } = target;
  draft.implicit ??= newVolume(0, token, true);
  readVolumeWord(context, token, {
    draft: draft.implicit,
    uses,
    path,
    mayRepeat: true,
  });
  // Whatever begins a statement here is a word; prose does not fit any.
  skipProse(context, (next) => next.kind === "word" && isStatement(next.text));
}

function isStatement(word: string): boolean {
  return SECTION_WORDS.has(word) || VOLUME_WORDS.has(word) || [
    "protocol",
    "proxy",
    "skip",
    "on",
    "floating",
    "stacked-on-top-of",
    "volume",
    "connection",
    "connection-mesh",
    "ignore-on",
  ].includes(word);
}

function readProtocol(
  context: ParserContext,
  token: Token,
  { draft, uses, path }: Target,
): void {
  uses.claim("protocol statement", `${path}: protocol`, token);
  const row = NET_OPTIONS.get("protocol");
  if (row === undefined) return;
  const values = readValues(context, row, token);
  (draft.sections.net ??= []).push({
    ...place(token),
    name: "protocol",
    values,
  });
}

/** Reads an option section after its brace. */
function readSection(
  context: ParserContext,
  token: Token,
  { draft, uses, path }: Target,
): void {
  const name = token.text as SectionName | "syncer";
  uses.claim(`${name} section`, `${path}:${name}`, token);
  const { sections } = draft;
  if (name !== "syncer") sections[name] ??= [];
  readOptions(context, name, (section, setting) => {
    (sections[section] ??= []).push(setting);
  });
}

function readProxy(
  context: ParserContext,
  first: Token,
  { draft, uses, path }: Target,
): void {
  uses.claim("proxy section", `${path}:proxy`, first);
  const settings: Setting[] = [];
  const plugins: string[][] = [];
  expectMark(context, "{");
  readBlock(context, (token) => {
    if (token.text === "plugin") {
      expectMark(context, "{");
      readBlock(context, (word) => plugins.push(readWords(context, word)));
      return;
    }
    const row = PROXY_OPTIONS.get(token.text);
    if (row === undefined) {
      throw unexpected(token, "an option keyword", describe(token));
    }
    const values = readValues(context, row, token);
    settings.push({ ...place(token), name: row.name, values });
  });
  draft.proxy = { ...place(first), settings, plugins };
}

function readWords(context: ParserContext, first: Token): string[] {
  const words: string[] = [];
  for (let token = first; token.text !== ";"; token = context.lexer.next()) {
    if (!isText(token)) throw unexpected(token, ";", describe(token));
    if (words.length >= HOSTS_MAX) throw refusal(token, "too many words");
    words.push(token.text);
  }
  return words;
}
