/**
 * What a volume needs of its process.
 *
 * @module
 */

import type {
  RegisterIdentity,
  RegisterParties,
} from "../../register_ports.ts";
import type { RegisterWish } from "../core/volume_types.ts";
import type { MirrorState } from "../decisions/mirror_state.ts";
import type { UndoPlace } from "./undo_guard.ts";

/** Who a volume talks to inside its process. */
export interface VolumeSurroundings {
  seekPeer(seek: boolean): void;
  runHelper(name: string, id: number): void;
  /** Who we are in volume registers; undefined: no register decides. */
  readonly identity: RegisterIdentity | undefined;
  changeRegister(
    change: RegisterWish,
    id: number,
    parties: RegisterParties,
  ): void;
  stateChanged(before: MirrorState, after: MirrorState): void;
  /** The volume has another size. */
  sizeChanged(sizeBytes: number): void;
  /** Where to keep what a split brain throws away; undefined: nowhere. */
  readonly undo: UndoPlace | undefined;
  log(level: "info" | "warn" | "error", text: string): void;
}
