/*
 * Makes system calls on files fail, stop half way, or end the process.
 * Loaded with LD_PRELOAD; counts matching calls over all threads.
 *
 *   SHIM_MODE   kill-before | kill-after | torn | error | short | lie | count
 *   SHIM_AT     number of the matching call, from 1; 0 is every one
 *   SHIM_ERRNO  error to report in mode "error"
 *   SHIM_CALLS  comma list of: open write sync rename unlink truncate mkdir
 *   SHIM_PATH   text that the path must contain
 *   SHIM_NOT    text that the path must not contain, if set
 *   SHIM_ARM    counting begins when a path that contains this is opened
 *   SHIM_COUNT  file of 8 bytes that receives the number of matching calls
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum mode { OFF, KILL_BEFORE, KILL_AFTER, TORN, ERROR, SHORT, LIE, COUNT };

static enum mode mode = OFF;
static long at = 0;
static int error_number = EIO;
static const char *calls = "", *want = "", *avoid = NULL, *arm = NULL;
static atomic_int armed = 0;
static _Atomic uint64_t own_count;
static _Atomic uint64_t *count = &own_count;

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void start(void) {
  const char *names[] = {"off",   "kill-before", "kill-after", "torn",
                         "error", "short",       "lie",        "count"};
  const char *value = getenv("SHIM_MODE");
  for (int i = 0; value && i < 8; i++)
    if (!strcmp(value, names[i])) mode = (enum mode)i;
  if ((value = getenv("SHIM_AT"))) at = atol(value);
  if ((value = getenv("SHIM_ERRNO"))) error_number = atoi(value);
  if ((value = getenv("SHIM_CALLS"))) calls = value;
  if ((value = getenv("SHIM_PATH"))) want = value;
  avoid = getenv("SHIM_NOT");
  arm = getenv("SHIM_ARM");
  armed = arm == NULL;
  if ((value = getenv("SHIM_COUNT"))) {
    int fd = open(value, O_RDWR);
    void *map = fd < 0 ? MAP_FAILED
                       : mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED) count = map;
    if (fd >= 0) close(fd);
  }
}

static int listed(const char *call) {
  size_t length = strlen(call);
  for (const char *p = calls; (p = strstr(p, call)); p += length)
    if ((p == calls || p[-1] == ',') && (p[length] == ',' || !p[length]))
      return 1;
  return 0;
}

/* Whether this call is the one. */
static int hit(const char *call, const char *path) {
  if (mode == OFF || !atomic_load(&armed) || !listed(call)) return 0;
  if (!strstr(path, want)) return 0;
  if (avoid && *avoid && strstr(path, avoid)) return 0;
  uint64_t number = atomic_fetch_add(count, 1) + 1;
  if (mode == COUNT) return 0;
  return at == 0 || number == (uint64_t)at;
}

static int hit_fd(const char *call, int fd) {
  if (mode == OFF || !atomic_load(&armed) || !listed(call)) return 0;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return hit(call, path);
}

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

/* -1 when the call must fail, 1 when it must be left out, 0 to go on. */
static int before(int is_hit) {
  if (!is_hit) return 0;
  if (mode == KILL_BEFORE) die();
  if (mode == ERROR) {
    errno = error_number;
    return -1;
  }
  return mode == LIE;
}

static void after(int is_hit) {
  if (is_hit && (mode == KILL_AFTER || mode == TORN)) die();
}

static size_t shortened(int is_hit, size_t length) {
  if (is_hit && (mode == TORN || mode == SHORT) && length > 1)
    return length / 2;
  return length;
}

ssize_t write(int fd, const void *bytes, size_t length) {
  static ssize_t (*next)(int, const void *, size_t);
  if (!next) next = real("write");
  int is_hit = hit_fd("write", fd);
  int verdict = before(is_hit);
  if (verdict) return verdict < 0 ? -1 : (ssize_t)length;
  ssize_t done = next(fd, bytes, shortened(is_hit, length));
  after(is_hit);
  return done;
}

static ssize_t write_at(ssize_t (*next)(int, const void *, size_t, off64_t),
                        int fd, const void *bytes, size_t length,
                        off64_t offset) {
  int is_hit = hit_fd("write", fd);
  int verdict = before(is_hit);
  if (verdict) return verdict < 0 ? -1 : (ssize_t)length;
  ssize_t done = next(fd, bytes, shortened(is_hit, length), offset);
  after(is_hit);
  return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
  static ssize_t (*next)(int, const void *, size_t, off64_t);
  if (!next) next = real("pwrite64");
  return write_at(next, fd, bytes, length, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
  static ssize_t (*next)(int, const void *, size_t, off64_t);
  if (!next) next = real("pwrite64");
  return write_at(next, fd, bytes, length, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int n) {
  static ssize_t (*next)(int, const struct iovec *, int);
  if (!next) next = real("writev");
  int is_hit = hit_fd("write", fd);
  int verdict = before(is_hit);
  if (verdict < 0) return -1;
  if (is_hit && n > 0 && (mode == TORN || mode == SHORT)) {
    struct iovec first = parts[0];
    first.iov_len = shortened(1, first.iov_len);
    ssize_t done = next(fd, &first, 1);
    after(is_hit);
    return done;
  }
  ssize_t done = next(fd, parts, n);
  after(is_hit);
  return done;
}

#define SYNC(name)                                  \
  int name(int fd) {                                \
    static int (*next)(int);                        \
    if (!next) next = real(#name);                  \
    int is_hit = hit_fd("sync", fd);                \
    int verdict = before(is_hit);                   \
    if (verdict) return verdict < 0 ? -1 : 0;       \
    int done = next(fd);                            \
    after(is_hit);                                  \
    return done;                                    \
  }
SYNC(fsync)
SYNC(fdatasync)
SYNC(syncfs)

/* Who asks for the C library by name finds these functions there, too. */
void *dlopen(const char *file, int flags) {
  static void *(*next)(const char *, int);
  if (!next) next = real("dlopen");
  return next(file && !strcmp(file, "libc.so.6") ? NULL : file, flags);
}

#define TWO_PATHS(name, params, args, path)         \
  int name params {                                 \
    static int(*next) params;                       \
    if (!next) next = real(#name);                  \
    int is_hit = hit("rename", path);               \
    int verdict = before(is_hit);                   \
    if (verdict) return verdict < 0 ? -1 : 0;       \
    int done = next args;                           \
    after(is_hit);                                  \
    return done;                                    \
  }
TWO_PATHS(rename, (const char *from, const char *to), (from, to), to)
TWO_PATHS(renameat,
          (int a, const char *from, int b, const char *to),
          (a, from, b, to), to)

#define ONE_PATH(name, call, params, args)          \
  int name params {                                 \
    static int(*next) params;                       \
    if (!next) next = real(#name);                  \
    int is_hit = hit(call, path);                   \
    int verdict = before(is_hit);                   \
    if (verdict) return verdict < 0 ? -1 : 0;       \
    int done = next args;                           \
    after(is_hit);                                  \
    return done;                                    \
  }
ONE_PATH(unlink, "unlink", (const char *path), (path))
ONE_PATH(unlinkat, "unlink", (int dir, const char *path, int flags),
         (dir, path, flags))
ONE_PATH(mkdir, "mkdir", (const char *path, mode_t bits), (path, bits))

#define TRUNCATE(name, type)                        \
  int name(int fd, type length) {                   \
    static int (*next)(int, type);                  \
    if (!next) next = real(#name);                  \
    int is_hit = hit_fd("truncate", fd);            \
    int verdict = before(is_hit);                   \
    if (verdict) return verdict < 0 ? -1 : 0;       \
    int done = next(fd, length);                    \
    after(is_hit);                                  \
    return done;                                    \
  }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

static int creating(int flags, const char *path) {
  if (arm && strstr(path, arm)) atomic_store(&armed, 1);
  return (flags & O_CREAT) ? hit("open", path) : 0;
}

#define OPEN(name)                                  \
  int name(const char *path, int flags, ...) {      \
    static int (*next)(const char *, int, ...);     \
    if (!next) next = real(#name);                  \
    va_list list;                                   \
    va_start(list, flags);                          \
    int bits = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(list, int) : 0; \
    va_end(list);                                   \
    int is_hit = creating(flags, path);             \
    if (before(is_hit) < 0) return -1;              \
    int done = next(path, flags, bits);             \
    after(is_hit);                                  \
    return done;                                    \
  }
OPEN(open)
OPEN(open64)

#define OPEN_AT(name)                               \
  int name(int dir, const char *path, int flags, ...) { \
    static int (*next)(int, const char *, int, ...); \
    if (!next) next = real(#name);                  \
    va_list list;                                   \
    va_start(list, flags);                          \
    int bits = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(list, int) : 0; \
    va_end(list);                                   \
    int is_hit = creating(flags, path);             \
    if (before(is_hit) < 0) return -1;              \
    int done = next(dir, path, flags, bits);        \
    after(is_hit);                                  \
    return done;                                    \
  }
OPEN_AT(openat)
OPEN_AT(openat64)
