/**
 * `connection { … }` and `connection-mesh { … }` of DRBD 9.
 *
 * @module
 */

import type {
  ConnectionSection,
  MeshSection,
  PathEnd,
  Sections,
  Setting,
  VolumeSection,
} from "./ast.ts";
import { refusal, unexpected } from "./errors.ts";
import type { Token } from "./lexer.ts";
import { HOSTS_MAX, VOLUME_MAX } from "./limits.ts";
import { readAddress, readPort } from "./parse_address.ts";
import { readOptions } from "./parse_options.ts";
import {
  acceptMark,
  acceptWord,
  describe,
  expectInteger,
  expectMark,
  expectName,
  isName,
  type ParserContext,
  readBlock,
} from "./parser_context.ts";
import { skipSection } from "./skip.ts";
import { place, Uses } from "./uses.ts";

type Draft<T> = { -readonly [K in keyof T]: T[K] };

interface ConnectionDraft extends Draft<ConnectionSection> {
  ends: PathEnd[];
  paths: (ConnectionSection["paths"][number])[];
  volumes: VolumeSection[];
}

/** Reads `connection [NAME] { … }`, whose first word was taken. */
export function readConnection(
  context: ParserContext,
  first: Token,
): ConnectionSection {
  const draft: ConnectionDraft = {
    ...place(first),
    ends: [],
    paths: [],
    sections: {},
    volumes: [],
  };
  if (isName(context.lexer.peek())) draft.name = context.lexer.next().text;
  expectMark(context, "{");
  const uses = new Uses();
  readBlock(context, (token) => readStatement(context, token, { draft, uses }));
  checkEnds(first, draft);
  return draft;
}

function readStatement(
  context: ParserContext,
  token: Token,
  target: { readonly draft: ConnectionDraft; readonly uses: Uses },
): void {
  const { draft, uses } = target;
  switch (token.kind === "word" ? token.text : "") {
    case "host":
      if (draft.ends.length >= 2) throw onlyTwo(token);
      draft.ends.push(readEnd(context, token));
      return;
    case "path":
      if (draft.paths.length >= HOSTS_MAX) {
        throw refusal(token, "too many paths");
      }
      draft.paths.push(readPath(context, token));
      return;
    case "volume":
      draft.volumes.push(readVolume(context, token, uses));
      return;
    case "net":
    case "disk":
      draft.sections = readSection(context, token, draft.sections);
      return;
    case "skip":
      skipSection(context);
      return;
  }
  throw unexpected(
    token,
    "host | port | path | net | disk | volume",
    describe(token),
  );
}

function readEnd(context: ParserContext, first: Token): PathEnd {
  const host = expectName(context, "TK_STRING").text;
  let end: PathEnd = { ...place(first), host };
  if (acceptWord(context, "address")) {
    end = { ...end, address: readAddress(context) };
  } else if (acceptWord(context, "port")) {
    end = { ...end, port: readPort(context) };
  }
  if (acceptWord(context, "via")) {
    throw refusal(first, "'via proxy' is not supported");
  }
  expectMark(context, ";");
  return end;
}

function readPath(
  context: ParserContext,
  first: Token,
): ConnectionSection["paths"][number] {
  const ends: PathEnd[] = [];
  expectMark(context, "{");
  readBlock(context, (token) => {
    if (token.text !== "host") throw unexpected(token, "host", describe(token));
    if (ends.length >= 2) throw onlyTwo(token);
    ends.push(readEnd(context, token));
  });
  if (ends.length !== 2) throw refusal(first, "a path needs two hosts");
  return { ...place(first), ends };
}

function readVolume(
  context: ParserContext,
  first: Token,
  uses: Uses,
): VolumeSection {
  const volume = expectInteger(context, "volume", [0, VOLUME_MAX]);
  uses.claim("volume section", `volume ${volume}`, first);
  let options: readonly Setting[] = [];
  expectMark(context, "{");
  readBlock(context, (token) => {
    if (token.text !== "disk") throw unexpected(token, "disk", describe(token));
    options = readSection(context, token, {}).disk ?? [];
  });
  return { ...place(first), volume, isImplicit: false, options };
}

/** Reads `net { … }` or `disk { … }` and adds it to the others. */
function readSection(
  context: ParserContext,
  first: Token,
  others: Sections,
): Sections {
  const name = first.text === "net" ? "net" : "disk";
  if (others[name] !== undefined) {
    throw refusal(first, `conflicting use of ${name} section`);
  }
  expectMark(context, "{");
  const settings: Setting[] = [];
  readOptions(context, name, (_section, setting) => settings.push(setting));
  return { ...others, [name]: settings };
}

/** Reads `connection-mesh { … }`, whose first word was taken. */
export function readMesh(context: ParserContext, first: Token): MeshSection {
  const hosts: string[] = [];
  let sections: Sections = {};
  expectMark(context, "{");
  readBlock(context, (token) => {
    const word = token.kind === "word" ? token.text : "";
    if (word === "hosts") readHosts(context, hosts);
    else if (word === "net" || word === "disk") {
      sections = readSection(context, token, sections);
    } else throw unexpected(token, "hosts | net | disk", describe(token));
  });
  if (hosts.length < 2) {
    throw refusal(first, "a connection-mesh needs two hosts or more");
  }
  return { ...place(first), hosts, sections };
}

function readHosts(context: ParserContext, hosts: string[]): void {
  while (!acceptMark(context, ";")) {
    const token = expectName(context, "TK_STRING");
    if (hosts.length >= HOSTS_MAX) throw refusal(token, "too many hosts");
    hosts.push(token.text);
  }
}

function checkEnds(first: Token, draft: ConnectionDraft): void {
  const { ends, paths } = draft;
  if (ends.length > 0 && paths.length > 0) {
    throw refusal(
      first,
      "either 'host' statements or 'path' sections, not both",
    );
  }
  if (paths.length === 0 && ends.length !== 2) {
    throw refusal(first, "a connection needs two hosts");
  }
}

function onlyTwo(token: Token): Error {
  return refusal(token, "only two 'host' keywords per connection allowed");
}
