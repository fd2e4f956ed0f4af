/**
 * A Primary volume as the block device that the export serves.
 *
 * @module
 */

import {
  type BlockDevice,
  type BlockDone,
  BlockErrno,
  type ZeroOptions,
} from "../../block_ports.ts";
import { isConnected } from "../decisions/mirror_state.ts";
import type { PartedWrites } from "./parted_writes.ts";
import type { Volume } from "./volume.ts";

/** See the module comment. */
export class VolumeDevice implements BlockDevice {
  /**
   * @param parted Told of writes that the peer does not get.
   */
  constructor(readonly volume: Volume, readonly parted: PartedWrites) {}

  get sizeBytes(): number {
    return this.volume.core.sizeBytes;
  }

  read(offset: number, into: Uint8Array, done: BlockDone): void {
    this.volume.lookAtClock();
    this.volume.core.reads.read(offset, into, (ok) => done(errno(ok)));
  }

  write(
    offset: number,
    data: Uint8Array,
    fua: boolean,
    done: BlockDone,
  ): void {
    const { writes } = this.volume.core;
    this.#note();
    writes.write(offset, data, this.#stable(fua, done));
  }

  writeZeroes(
    offset: number,
    lengthBytes: number,
    options: ZeroOptions,
    done: BlockDone,
  ): void {
    if (options.fastOnly && !this.volume.core.effects.canPunch) {
      return done(BlockErrno.ENOTSUP);
    }
    const { writes } = this.volume.core;
    const answered = this.#stable(options.fua, done);
    this.#note();
    writes.zero(offset, lengthBytes, options.mayPunch, answered);
  }

  trim(
    offset: number,
    lengthBytes: number,
    fua: boolean,
    done: BlockDone,
  ): void {
    const { writes, effects } = this.volume.core;
    const answered = this.#stable(fua, done);
    // Where nothing can be punched the content stays, the same on both nodes.
    if (!effects.canPunch) return answered(true);
    this.#note();
    writes.zero(offset, lengthBytes, true, answered);
  }

  flush(done: BlockDone): void {
    this.volume.core.writes.flush((ok) => done(errno(ok)));
  }

  settle(): void {
    this.volume.settle();
  }

  pressure(): Promise<void> | undefined {
    return this.volume.pressure();
  }

  #note(): void {
    const { connection } = this.volume.core.state;
    if (!isConnected(connection)) this.parted.wrote();
  }

  /** With FUA a write is answered when a flush behind it is. */
  #stable(fua: boolean, done: BlockDone): (ok: boolean) => void {
    if (!fua) return (ok) => done(errno(ok));
    return (ok) => ok ? this.flush(done) : done(BlockErrno.EIO);
  }
}

function errno(ok: boolean): BlockErrno {
  return ok ? BlockErrno.OK : BlockErrno.EIO;
}
