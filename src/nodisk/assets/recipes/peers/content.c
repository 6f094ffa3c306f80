/* The file and its manifest (nodisk.plan.chunks writes it). */
#define _GNU_SOURCE
#include "peers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MANIFEST_MAX = 256 + 65 * CHUNKS_MAX };

bool bit(const unsigned char *map, uint32_t number)
{
    return map[number / 8] >> (number % 8) & 1;
}

void set_bit(unsigned char *map, uint32_t number, bool value)
{
    unsigned char mask = (unsigned char)(1u << (number % 8));
    map[number / 8] = (unsigned char)(value ? map[number / 8] | mask : map[number / 8] & ~mask);
}

uint32_t chunk_length(const struct content *content, uint32_t chunk)
{
    uint64_t left = content->size - (uint64_t)chunk * content->chunk_size;
    return left < content->chunk_size ? (uint32_t)left : content->chunk_size;
}

bool content_check(struct content *content, uint32_t chunk, struct sha256 *hash)
{
    unsigned char digest[32];
    sha256_end(hash, digest);
    if (memcmp(digest, content->digests[chunk], sizeof digest) != 0)
        return false;
    set_bit(content->have, chunk, true);
    content->missing--;
    return true;
}

static void read_manifest(struct content *content, const char *path, const char *wanted)
{
    unsigned char digest[32], want[32];
    char *text = calloc(1, MANIFEST_MAX + 1), file[65];
    int from = open(path, O_RDONLY | O_CLOEXEC), used = 0;
    size_t size = 0;
    ssize_t got;
    if (text == NULL || from < 0)
        die("%s: %s", path, strerror(errno));
    while (size < MANIFEST_MAX && (got = read(from, text + size, MANIFEST_MAX - size)) > 0)
        size += (size_t)got;
    close(from);
    struct sha256 hash;
    sha256_start(&hash);
    sha256_add(&hash, text, size);
    sha256_end(&hash, digest);
    if (!parse_digest(wanted, want) || memcmp(digest, want, sizeof want) != 0)
        die("%s: its SHA-256 is not %s", path, wanted);
    unsigned long long bytes;
    unsigned chunk;
    if (sscanf(text, "nodisk-chunks 1 %u %llu %64[0-9a-f]%n", &chunk, &bytes, file, &used) != 3 || text[used] != '\n' ||
        !parse_digest(file, digest) || chunk < 4096 || chunk > 1u << 26 || bytes == 0 || bytes > (uint64_t)chunk * CHUNKS_MAX)
        die("%s: not a manifest that this program reads", path);
    content->size = bytes;
    content->chunk_size = chunk;
    content->chunks = content->missing = (uint32_t)((bytes + chunk - 1) / chunk);
    const char *at = text + used + 1;
    if (size != (size_t)(at - text) + 65u * content->chunks)
        die("%s: it does not have %u hashes", path, content->chunks);
    for (uint32_t i = 0; i < content->chunks; i++, at += 65) {
        char one[65] = {0};
        memcpy(one, at, 64);
        if (at[64] != '\n' || !parse_digest(one, content->digests[i]))
            die("%s: no hash in line %u", path, i + 2);
    }
    snprintf(content->path, sizeof content->path, "/assets/%s/root.squashfs", file);
    free(text);
}

void content_open(struct content *content, const char *file, const char *manifest, const char *digest)
{
    struct stat status;
    static unsigned char buffer[65536];
    read_manifest(content, manifest, digest);
    content->file = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (content->file < 0 || fstat(content->file, &status) != 0)
        die("%s: %s", file, strerror(errno));
    if (ftruncate(content->file, (off_t)content->size) != 0)
        die("%s: %s", file, strerror(errno));
    for (uint32_t i = 0; i < content->chunks && status.st_size > 0; i++) {
        struct sha256 hash;
        off_t at = (off_t)i * content->chunk_size;
        uint32_t left = chunk_length(content, i);
        sha256_start(&hash);
        while (left > 0) {
            ssize_t got = pread(content->file, buffer, left < sizeof buffer ? left : sizeof buffer, at);
            if (got <= 0)
                die("%s: %s", file, got < 0 ? strerror(errno) : "it became shorter");
            sha256_add(&hash, buffer, (size_t)got);
            at += got;
            left -= (uint32_t)got;
        }
        content_check(content, i, &hash);
    }
}
