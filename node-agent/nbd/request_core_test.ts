import assert from "node:assert/strict";
import fc from "fast-check";
import { BlockErrno } from "../block_ports.ts";
import { checkRequest } from "./request_core.ts";

const rules = {
  sizeBytes: 1 << 20,
  readOnly: false,
  minimumBlockBytes: 1,
  structured: true,
  hasContext: true,
};
const READ = 0;
const WRITE = 1;
const TRIM = 4;
const CACHE = 5;
const WRITE_ZEROES = 6;
const BLOCK_STATUS = 7;

const request = (
  type: number,
  offset: number,
  lengthBytes: number,
  flags = 0,
) => ({
  ...{ type, offset, lengthBytes, flags },
  ...{ cookieHigh: 0, cookieLow: 0 },
});

Deno.test("checkRequest() bounds agree with exact arithmetic", () => {
  const offsets = fc.oneof(
    fc.nat(2 << 20),
    fc.constantFrom(2 ** 32, 2 ** 52, 2 ** 53, 2 ** 63, 2 ** 64),
  );
  fc.assert(fc.property(
    fc.constantFrom(READ, WRITE, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS),
    offsets,
    fc.oneof(fc.integer({ min: 1, max: 2 << 20 }), fc.constant(0xffff_ffff)),
    (type, offset, length) => {
      const isInside =
        BigInt(offset) + BigInt(length) <= BigInt(rules.sizeBytes);
      const found = checkRequest(request(type, offset, length), rules);
      assert.equal(found === BlockErrno.OK, isInside);
    },
  ));
});

Deno.test("checkRequest() names the error that the protocol names", () => {
  const beyond = (type: number) =>
    checkRequest(request(type, rules.sizeBytes, 1), rules);
  assert.equal(beyond(READ), BlockErrno.EINVAL);
  assert.equal(beyond(TRIM), BlockErrno.EINVAL);
  assert.equal(beyond(WRITE), BlockErrno.ENOSPC);
  assert.equal(beyond(WRITE_ZEROES), BlockErrno.ENOSPC);
  const readOnly = { ...rules, readOnly: true };
  for (const type of [WRITE, TRIM, WRITE_ZEROES]) {
    const found = checkRequest(request(type, 0, 1), readOnly);
    assert.equal(found, BlockErrno.EPERM);
  }
  assert.equal(checkRequest(request(READ, 0, 1), readOnly), BlockErrno.OK);
});

Deno.test("checkRequest() follows a device that grows", () => {
  const later = { ...rules, sizeBytes: rules.sizeBytes * 2 };
  const last = request(WRITE, rules.sizeBytes, 512);
  assert.equal(checkRequest(last, rules), BlockErrno.ENOSPC);
  assert.equal(checkRequest(last, later), BlockErrno.OK);
});
