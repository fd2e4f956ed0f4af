/**
 * Between a volume's state and the words of the wire.
 *
 * @module
 */

import type {
  GenerationsHex,
  MirrorStateWords,
} from "@kedge/schema/wire/mirror";
import {
  CREATED_SET,
  EMPTY_GENERATION,
  formatGeneration,
  type GenerationSet,
} from "../decisions/generations_core.ts";
import {
  CONNECTION_STATES,
  type ConnectionState,
  DISK_STATES,
  type DiskState,
  isPaused,
  type Role,
  ROLES,
} from "../decisions/mirror_state.ts";
import type { VolumeCore } from "./volume_core.ts";

/** No data: what a node without a disk calls its data. */
const NO_GENERATIONS: GenerationSet = {
  ...CREATED_SET,
  current: EMPTY_GENERATION,
};

/** What the peer is told of our state. */
export function wordsOf(volume: VolumeCore): MirrorStateWords {
  const { state } = volume;
  return {
    role: state.role,
    disk: state.disk,
    connection: state.connection,
    paused: isPaused({ ...state, pausedByPeer: false }),
    generations: hexOf(volume.generations.set ?? NO_GENERATIONS),
    dirtyBits: volume.bitmap?.count ?? 0,
  };
}

/** A role of the wire; anything unknown is Unknown. */
export function roleOf(word: string): Role {
  return ROLES.find((role) => role === word) ?? "Unknown";
}

/** A disk state of the peer; anything unknown is DUnknown. */
export function peerDiskOf(word: string): DiskState {
  return DISK_STATES.find((disk) => disk === word) ?? "DUnknown";
}

/** A connection state of the peer; anything unknown is StandAlone. */
export function connectionOf(word: string): ConnectionState {
  return CONNECTION_STATES.find((name) => name === word) ?? "StandAlone";
}

/** Generations of the wire. */
export function generationsOf(hex: GenerationsHex): GenerationSet {
  const value = (digits: string) => BigInt(`0x${digits}`);
  return {
    current: value(hex.current),
    bitmap: value(hex.bitmap),
    history: [value(hex.history[0]), value(hex.history[1])],
  };
}

function hexOf(set: GenerationSet): GenerationsHex {
  return {
    current: formatGeneration(set.current),
    bitmap: formatGeneration(set.bitmap),
    history: [
      formatGeneration(set.history[0]),
      formatGeneration(set.history[1]),
    ],
  };
}
