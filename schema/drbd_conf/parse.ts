/**
 * A whole configuration: the first file and what it includes.
 *
 * @module
 */

import type {
  DrbdConf,
  ProxyOptions,
  ResourceSection,
  Sections,
  Setting,
} from "./ast.ts";
import { checkConf } from "./check.ts";
import { refusal, unexpected } from "./errors.ts";
import { isGlob } from "./include.ts";
import { Lexer, type Token } from "./lexer.ts";
import {
  FILE_CHARS_MAX,
  FILES_MAX,
  INCLUDE_DEPTH_MAX,
  RESOURCES_MAX,
} from "./limits.ts";
import { GLOBAL_OPTIONS } from "./options/global.ts";
import { readTable } from "./parse_options.ts";
import { readCommon, readResource } from "./parse_resource.ts";
import {
  describe,
  expectMark,
  expectText,
  type ParserContext,
  WarningList,
} from "./parser_context.ts";
import { skipSection } from "./skip.ts";
import { Uses } from "./uses.ts";

/** A file, read. */
export interface ConfFile {
  /** Path as it shall stand in messages; the same file has one path. */
  readonly path: string;
  /** Its text. A byte order mark must still be there: it is refused. */
  readonly text: string;
}

/**
 * Finds and reads files. `pattern` is what `include` says, a path or a glob,
 * relative to the folder of the file `from` (a path of this port; `undefined`
 * for the first file: relative to the working folder).
 *
 * Returns the files in sorted order, none if nothing matches. A file that
 * exists but cannot be read is an error of the port's own.
 */
export type ReadFiles = (
  pattern: string,
  from: string | undefined,
) => readonly ConfFile[];

/** How to parse. */
export interface ParseOptions {
  /** Refuse what DRBD refuses, even where we know better. Default: false. */
  readonly strict?: boolean;
}

const EXPECTED = "global | common | resource | skip | include";

interface State {
  readonly readFiles: ReadFiles;
  readonly isStrict: boolean;
  readonly warnings: WarningList;
  readonly uses: Uses;
  readonly files: Set<string>;
  readonly resources: ResourceSection[];
  global: readonly Setting[] | undefined;
  common: (Sections & { readonly proxy?: ProxyOptions }) | undefined;
}

/**
 * Parses the configuration that begins with this file.
 *
 * Throws nothing but {@linkcode ParseError} (and what `readFiles` throws).
 */
export function parseDrbdConf(
  path: string,
  readFiles: ReadFiles,
  options: ParseOptions = {},
): DrbdConf {
  const [file] = readFiles(path, undefined);
  if (file === undefined) {
    throw refusal({ file: path, line: 0 }, `Can not open '${path}'.`);
  }
  const state: State = {
    readFiles,
    isStrict: options.strict ?? false,
    warnings: new WarningList(),
    uses: new Uses(),
    files: new Set(),
    resources: [],
    global: undefined,
    common: undefined,
  };
  readFile(state, file, 0);
  return finish(state, file.path);
}

/** Parses a text that includes nothing. */
export function parseDrbdText(
  text: string,
  options: ParseOptions & { readonly file?: string } = {},
): DrbdConf {
  const path = options.file ?? "drbd.conf";
  const readFiles: ReadFiles = (_pattern, from) =>
    from === undefined ? [{ path, text }] : [];
  return parseDrbdConf(path, readFiles, options);
}

function finish(state: State, file: string): DrbdConf {
  const { global, common, resources, warnings } = state;
  const conf: DrbdConf = {
    file,
    files: [...state.files],
    ...(global === undefined ? {} : { global }),
    ...(common === undefined ? {} : { common }),
    resources,
    warnings: warnings.list,
  };
  checkConf(conf, warnings);
  return conf;
}

function readFile(state: State, file: ConfFile, depth: number): void {
  if (state.files.has(file.path)) return;
  const start = { file: file.path, line: 1 };
  if (file.text.length > FILE_CHARS_MAX) {
    throw refusal(start, `file has more than ${FILE_CHARS_MAX} characters`);
  }
  if (state.files.size >= FILES_MAX) {
    throw refusal(start, `more than ${FILES_MAX} files`);
  }
  state.files.add(file.path);
  const { warnings, isStrict } = state;
  const lexer = new Lexer(file.path, file.text);
  const context = { lexer, warnings, isStrict, resource: undefined };
  for (;;) {
    const token = lexer.next();
    if (token.kind === "end") return;
    readStatement(state, context, { token, depth });
  }
}

function readStatement(
  state: State,
  context: ParserContext,
  { token, depth }: { readonly token: Token; readonly depth: number },
): void {
  switch (token.kind === "word" ? token.text : "") {
    case "global":
      readGlobal(state, context, token);
      return;
    case "common":
      state.common = readCommon(context, token, state.uses);
      return;
    case "resource":
      if (state.resources.length >= RESOURCES_MAX) {
        throw refusal(token, `more than ${RESOURCES_MAX} resources`);
      }
      state.resources.push(readResource(context, token, state.uses));
      return;
    case "skip":
      skipSection(context);
      return;
    case "include":
      readInclude(state, context, { token, depth });
      return;
  }
  if (/^require-drbd-module-version-(eq|ne|gt|ge|lt|le)$/.test(token.text)) {
    expectText(context, "version");
    expectMark(context, ";");
    return;
  }
  throw unexpected(token, EXPECTED, describe(token));
}

function readGlobal(state: State, context: ParserContext, token: Token): void {
  state.uses.claim("global section", "global", token);
  if (state.resources.length > 0) {
    context.warnings.add("section-order", {
      ...token,
      text:
        "You should put the global {} section\n\tin front of any resource {} section",
    });
  }
  expectMark(context, "{");
  // The last of equal ones counts, as with drbdadm.
  const settings = readTable(context, GLOBAL_OPTIONS);
  const byName = new Map(settings.map((setting) => [setting.name, setting]));
  state.global = [...byName.values()];
}

function readInclude(
  state: State,
  context: ParserContext,
  { token, depth }: { readonly token: Token; readonly depth: number },
): void {
  const pattern = expectText(context, "file name").text;
  expectMark(context, ";");
  if (depth >= INCLUDE_DEPTH_MAX) {
    throw refusal(token, `include depth exceeded ${INCLUDE_DEPTH_MAX}`);
  }
  const files = state.readFiles(pattern, token.file);
  if (files.length === 0 && !isGlob(pattern)) {
    throw refusal(token, `Failed to open include file '${pattern}'.`);
  }
  for (const file of files) readFile(state, file, depth + 1);
}
