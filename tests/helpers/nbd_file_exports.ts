/**
 * Exports of plain files, with faults on demand: what the tests of the NBD
 * server serve.
 *
 * @module
 */

import type {
  BlockDevice,
  BlockExport,
  BlockExports,
  BlockRefusal,
} from "../../node-agent/block_ports.ts";

/** An export of a test. */
export interface TestExport {
  readonly name: string;
  readonly device: BlockDevice;
  readonly description?: string;
  readonly readOnly?: boolean;
  readonly multiConn?: boolean;
  readonly minimumBlockBytes?: number;
  /** Set: the export is listed but refused, with this reason. */
  readonly refusal?: string;
}

/** Exports held in memory; the first one is the default. */
export class TestExports implements BlockExports {
  readonly #exports: readonly TestExport[];
  readonly #closers = new Set<() => void>();

  /** Serve these. */
  constructor(exports: readonly TestExport[]) {
    this.#exports = exports;
  }

  /** Connections that are open. */
  get openCount(): number {
    return this.#closers.size;
  }

  /** Names and descriptions. */
  list(): { name: string; description: string }[] {
    return this.#exports.map(({ name, description = "" }) => ({
      name,
      description,
    }));
  }

  /** Look one up. */
  find(name: string): BlockExport | BlockRefusal | undefined {
    const found = name === ""
      ? this.#exports[0]
      : this.#exports.find((each) => each.name === name);
    if (found === undefined) return undefined;
    if (found.refusal !== undefined) return { why: found.refusal };
    return {
      name: found.name,
      description: found.description ?? "",
      readOnly: found.readOnly ?? false,
      multiConn: found.multiConn ?? true,
      device: found.device,
      minimumBlockBytes: found.minimumBlockBytes ?? 1,
      preferredBlockBytes: 4096,
    };
  }

  /** Count a connection as open. */
  open(_name: string, close: () => void): () => void {
    this.#closers.add(close);
    return () => this.#closers.delete(close);
  }

  /** Close every connection, as a demotion does. */
  closeAll(): void {
    for (const close of this.#closers) close();
  }
}
