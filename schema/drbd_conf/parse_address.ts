/**
 * Addresses: `[ipv4|ipv6|ssocks|sdp] IP:PORT`. Literal IP addresses only, as
 * with DRBD: a name could lead elsewhere after every look-up.
 *
 * @module
 */

import type { Address, AddressFamily } from "./ast.ts";
import { unexpected } from "./errors.ts";
import {
  describe,
  expectInteger,
  expectMark,
  type ParserContext,
} from "./parser_context.ts";

const FAMILIES: ReadonlySet<string> = new Set([
  "ipv4",
  "ipv6",
  "sdp",
  "ssocks",
]);
const EXPECTED = "ssocks | sdp | ipv4 | ipv6 | <ipv4 address> ";

/** Reads an address with its port, without the semicolon. */
export function readAddress(context: ParserContext): Address {
  const { family, ip } = readHost(context);
  expectMark(context, ":");
  return { family, ip, port: readPort(context) };
}

/** Reads a port number. */
export function readPort(context: ParserContext): number {
  return expectInteger(context, "port", [1, 65_535]);
}

function readHost(context: ParserContext): Pick<Address, "family" | "ip"> {
  let token = context.lexer.next();
  let family: AddressFamily | undefined;
  if (token.kind === "word" && FAMILIES.has(token.text)) {
    family = token.text as AddressFamily;
    token = context.lexer.next();
  }
  if (family === "ipv6") {
    if (token.text !== "[") throw unexpected(token, "[", describe(token));
    return { family, ip: readIpv6(context) };
  }
  if (token.kind !== "word" || !isIpv4(token.text)) {
    throw unexpected(token, EXPECTED, describe(token));
  }
  return { family: family ?? "ipv4", ip: token.text };
}

function readIpv6(context: ParserContext): string {
  const ip = context.lexer.takeRaw(
    /[0-9A-Fa-f:.]{2,45}(%[\w.-]{1,15})?(?=\])/y,
  );
  if (ip === undefined || !isIpv6(ip)) {
    const token = context.lexer.next();
    throw unexpected(token, "TK_IPADDR6", ip ?? describe(token));
  }
  expectMark(context, "]");
  return ip;
}

/** Whether a text is a literal IPv4 address. */
export function isIpv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 &&
    parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255);
}

/** Whether a text is a literal IPv6 address, a zone (`%eth0`) included. */
export function isIpv6(text: string): boolean {
  const [ip = "", zone, ...more] = text.split("%");
  if (more.length > 0 || (zone !== undefined && !/^[\w.-]+$/.test(zone))) {
    return false;
  }
  const halves = ip.split("::");
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => half === "" ? [] : half.split(":"));
  const last = groups.at(-1) ?? "";
  const isMapped = isIpv4(last);
  const hex = isMapped ? groups.slice(0, -1) : groups;
  if (!hex.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return false;
  const count = hex.length + (isMapped ? 2 : 0);
  return halves.length === 2 ? count <= 7 : count === 8;
}
