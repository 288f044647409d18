/* A disk on which chosen calls fail: the plan is in a file that the test shares with the server.
 *
 * Only calls on files under FAILING_UNDER count; they are counted over all processes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { WRITES = 1, SYNCS = 2, NAMES = 4 };

struct plan {
    int64_t count; /* calls of these kinds since the plan was made */
    int64_t hits;  /* how many of them failed */
    int64_t first; /* those from here */
    int64_t last;  /* to here fail */
    int64_t kinds; /* 0: none */
    int64_t error;
};

static struct plan *plan;
static const char *under;

__attribute__((constructor)) static void find_plan(void)
{
    const char *file = getenv("FAILING_PLAN");
    under = getenv("FAILING_UNDER");
    if (file == NULL || under == NULL)
        return;
    int descriptor = (int)syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CLOEXEC, 0);
    if (descriptor < 0)
        return;
    void *place = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (place != MAP_FAILED)
        plan = place;
    close(descriptor);
}

static int fails(int kind, const char *path)
{
    if (plan == NULL || !(plan->kinds & kind) || path == NULL)
        return 0;
    if (strncmp(path, under, strlen(under)) != 0)
        return 0;
    int64_t number = __sync_add_and_fetch(&plan->count, 1);
    if (number < plan->first || number > plan->last)
        return 0;
    __sync_add_and_fetch(&plan->hits, 1);
    errno = (int)plan->error;
    return 1;
}

static int fails_at(int kind, int descriptor)
{
    char link[64], path[4096];
    if (plan == NULL || !(plan->kinds & kind))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = '\0';
    return fails(kind, path);
}

ssize_t write(int descriptor, const void *data, size_t size)
{
    return fails_at(WRITES, descriptor) ? -1 : syscall(SYS_write, descriptor, data, size);
}

ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t place)
{
    if (fails_at(WRITES, descriptor))
        return -1;
    return syscall(SYS_pwrite64, descriptor, data, size, place);
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t place)
{
    return pwrite64(descriptor, data, size, place);
}

int fsync(int descriptor)
{
    return fails_at(SYNCS, descriptor) ? -1 : (int)syscall(SYS_fsync, descriptor);
}

int fdatasync(int descriptor)
{
    return fails_at(SYNCS, descriptor) ? -1 : (int)syscall(SYS_fdatasync, descriptor);
}

int rename(const char *from, const char *to)
{
    return fails(NAMES, to) ? -1 : (int)syscall(SYS_rename, from, to);
}

static int needs_mode(int flags)
{
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

static int open_file(const char *path, int flags, mode_t mode)
{
    if ((flags & O_CREAT) && syscall(SYS_access, path, F_OK) != 0 && fails(NAMES, path))
        return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = needs_mode(flags) ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open_file(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = needs_mode(flags) ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open_file(path, flags | O_LARGEFILE, mode);
}
