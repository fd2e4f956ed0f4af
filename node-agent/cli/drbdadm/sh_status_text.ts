/** `sh-status`: variables for a shell, as 8.4 prints them. Pure. */

import type { ResourceConfig, VolumeConfig } from "@kedge/schema/drbd-conf";
import type { VolumeStatus } from "@kedge/schema/mirror/control-api";
import { permilleDone } from "./proc_drbd_text.ts";

/** The head, once. */
export function shStatusHead(config: string): string[] {
  return [
    "_drbd_version=8.4.11",
    "_drbd_api=1",
    `_config_file=${config}`,
    "",
    "",
  ];
}

/** What the configuration says of a resource, once per resource. */
export function shResourceHead({ name, definedAt }: ResourceConfig): string[] {
  return [
    `_conf_res_name=${name}`,
    `_conf_file_line=${definedAt.file}:${definedAt.line}`,
    "",
    "_stacked_on=",
    "_stacked_on_device=",
    "_stacked_on_minor=",
  ];
}

/** One volume; `status` is undefined where nothing runs. */
export function shVolumeLines(
  { name }: ResourceConfig,
  { volume, minor }: VolumeConfig,
  status: VolumeStatus | undefined,
): string[] {
  return [
    `_conf_volume=${volume}`,
    `_minor=${minor}`,
    `_res_name=${name}`,
    `_volume=${volume}`,
    ...(status === undefined
      ? ["_known=Unconfigured", ""]
      : stateLines(status)),
    "_sh_status_process",
    "",
    "",
  ];
}

function stateLines({ state, progress }: VolumeStatus): string[] {
  const flag = (isSet: boolean) => isSet ? "1" : "";
  const isSuspended = state.suspendedByUser || state.suspendedNoData ||
    state.suspendedFencing;
  const done = progress === undefined ? undefined : permilleDone(progress);
  return [
    "_known=Configured",
    "",
    `_cstate=${state.connection}`,
    `_role=${state.role}`,
    `_peer=${state.peerRole}`,
    `_disk=${state.disk}`,
    `_pdsk=${state.peerDisk}`,
    "",
    `_flags_susp=${flag(isSuspended)}`,
    `_flags_aftr_isp=${flag(state.pausedByDependency)}`,
    `_flags_peer_isp=${flag(state.pausedByPeer)}`,
    `_flags_user_isp=${flag(state.pausedByUser)}`,
    "",
    `_resynced_percent=${
      done === undefined ? "" : `${Math.floor(done / 10)}.${done % 10}%`
    }`,
    "",
  ];
}
