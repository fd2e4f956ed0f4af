/**
 * Bounds on hostile or broken configurations. The first four are drbdadm's.
 *
 * @module
 */

/** Longest word without quotes, in characters. */
export const WORD_CHARS_MAX = 128;

/** Longest text in quotes, in characters. */
export const STRING_CHARS_MAX = 255;

/** Deepest nesting of `include`. */
export const INCLUDE_DEPTH_MAX = 10;

/** Highest device minor number (20 bits in Linux). */
export const MINOR_MAX = 1_048_575;

/** Highest volume number. */
export const VOLUME_MAX = 65_534;

/** Highest node ID that the parser takes. */
export const NODE_ID_MAX = 32;

/** Largest file, in characters. */
export const FILE_CHARS_MAX = 1 << 20;

/** Most files of one configuration. */
export const FILES_MAX = 1024;

/** Most resources of one configuration. */
export const RESOURCES_MAX = 2048;

/** Most hosts of one resource. */
export const HOSTS_MAX = 64;

/** Most volumes of one resource or host. */
export const VOLUMES_MAX = 1024;

/** Most `connection` and `connection-mesh` sections of one resource. */
export const CONNECTIONS_MAX = 2048;

/** Most warnings that are kept; more of them help nobody. */
export const WARNINGS_MAX = 1000;
