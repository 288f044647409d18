/* A disk that lies, for one kind of file: what MUTED names is not made durable by a sync. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_muted(int descriptor)
{
    const char *muted = getenv("MUTED");
    char link[64], path[4096];
    if (muted == NULL)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = '\0';
    return strcmp(muted, strstr(path, "moorage.db") != NULL ? "database" : "files") == 0;
}

int fsync(int descriptor)
{
    return is_muted(descriptor) ? 0 : (int)syscall(SYS_fsync, descriptor);
}

int fdatasync(int descriptor)
{
    return is_muted(descriptor) ? 0 : (int)syscall(SYS_fdatasync, descriptor);
}
