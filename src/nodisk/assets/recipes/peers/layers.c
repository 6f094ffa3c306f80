/* What containerd keeps of container images: files named by the SHA-256 of what is in them. containerd moves a file here
 * when it is whole and has been checked, so there are no others. */
#define _GNU_SOURCE
#include "peers.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIGITS = 64 };

int layers_open(const char *directory)
{
    int found = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (found < 0)
        die("%s: %s", directory, strerror(errno));
    return found;
}

int layer_open(int directory, const char *path, uint64_t *size)
{
    static const char before[] = "/blobs/sha256:";
    struct stat status;
    if (strncmp(path, before, sizeof before - 1) != 0)
        return -1;
    const char *name = path + sizeof before - 1;
    if (strlen(name) != DIGITS || strspn(name, "0123456789abcdef") != DIGITS)
        return -1;
    int file = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0)
        return -1;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= 0) {
        close(file);
        return -1;
    }
    *size = (uint64_t)status.st_size;
    return file;
}
