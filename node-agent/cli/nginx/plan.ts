/**
 * What an nginx in front of Kedge serves.
 *
 * @module
 */

/** Who decides about a download. */
export type ServeMode = "direct" | "accel";

/** Files on this machine. */
export interface FilesHere {
  /** Number of the node whose files they are. */
  readonly node: number;
  /** Folder in which an agent gives leave; only for `direct`. */
  readonly linksDir: string | undefined;
  /** Folders with the files of `M00`, `M01`, …, absolute. */
  readonly folders: readonly string[];
}

/** A group and its agents. */
export interface NginxGroup {
  readonly name: string;
  /** Base URLs of agents; those on this machine first. */
  readonly agents: readonly {
    readonly url: string;
    readonly isHere: boolean;
  }[];
  /** Files that nginx can reach; `undefined`: everything is asked for. */
  readonly files: FilesHere | undefined;
}

/** Everything that the text is made from. */
export interface NginxPlan {
  readonly mode: ServeMode;
  /** Value of `listen`. */
  readonly listen: string;
  /** Value of `server_name`. */
  readonly serverName: string;
  readonly tls:
    | { readonly certFile: string; readonly keyFile: string }
    | undefined;
  /** Where downloads are logged; `off` is nowhere. */
  readonly accessLog: string;
  /** Authorities by which the agents' certificates are checked. */
  readonly caFile: string | undefined;
  readonly groups: readonly NginxGroup[];
  /** What a reader should know, one line each. */
  readonly notes: readonly string[];
}
