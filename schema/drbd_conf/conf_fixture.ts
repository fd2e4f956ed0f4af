/**
 * Small configurations for tests.
 *
 * @module
 */

/** Two complete hosts, alice and bob; ports and minors follow `minor`. */
export function hosts(minor = 1, more = ""): string {
  const side = (name: string, last: number) =>
    `on ${name} { device minor ${minor}; disk /dev/d${minor}; ` +
    `meta-disk internal; address 10.1.1.${last}:${7788 + minor}; ${more} }\n`;
  return side("alice", 31) + side("bob", 32);
}

/** A resource r0 of two hosts with something more in it. */
export function resource(more = ""): string {
  return `resource r0 {\n${more}\n${hosts()}}\n`;
}
