/* What the parts of nodisk-peers share: limits, the file with its manifest, the two parsers, both sides of the wire.
 *
 * Everything is allocated once, at a fixed size: what comes from the network can make nothing grow. */
#ifndef PEERS_H
#define PEERS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CHUNKS_MAX = 4096,        /* nodisk.plan.chunks makes no more */
    BITMAP = CHUNKS_MAX / 8,  /* bytes */
    HEX = 2 * BITMAP,         /* digits of a bitmap in a header */
    REQUEST_MAX = 2048,       /* bytes of a request's head */
    RESPONSE_MAX = 4096,      /* bytes of an answer's head, ours and others' */
    GIVE_MAX = 12,            /* connections that take from this machine at the same time */
    GIVE_EACH = 3,            /* of those, from one address */
    TAKE_MAX = 6,             /* peers from which this machine takes at the same time */
    KNOWN_MAX = 64,           /* peers that it knows */
    SOCKETS = 1 + GIVE_MAX + KNOWN_MAX + 2,
};

/* ---- sha256.c: FIPS 180-4 ---- */

struct sha256 {
    uint32_t state[8];
    uint64_t length;
    unsigned char block[64];
};

void sha256_start(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *data, size_t size);
void sha256_end(struct sha256 *hash, unsigned char digest[32]);

/* ---- http.c: what comes from the network; no I/O, no state ---- */

struct request {
    bool head;              /* HEAD, not GET */
    bool close;             /* Connection: close */
    bool ranged;            /* from is given */
    uint64_t from, to;      /* bytes, both included; to: UINT64_MAX if it is left out, the file's end */
    char path[128];
};

struct response {
    int status;
    bool close;
    bool ranged;
    uint64_t from, to, total;
    uint64_t length;
    size_t hex;                      /* digits of the bitmap that came; 0: none */
    unsigned char have[BITMAP];
};

/* Each returns the bytes of the head, 0 if it is not whole yet, -1 for what is none (or too long). */
int parse_request(const char *text, size_t size, struct request *found);
int parse_response(const char *text, size_t size, struct response *found);

/* 64 hexadecimal digits; false for anything else. */
bool parse_digest(const char *text, unsigned char digest[32]);
/* ADDRESS or ADDRESS:PORT, to its end; false for anything else. */
bool parse_address(const char *text, uint16_t port, struct sockaddr_in *found);

/* ---- content.c: the file ---- */

struct content {
    int file;                        /* open for reading, and for writing until it is whole */
    uint64_t size;
    uint32_t chunk_size, chunks, missing;
    char path[128];                  /* its URL's path, the same everywhere */
    unsigned char digests[CHUNKS_MAX][32];
    unsigned char have[BITMAP];      /* checked */
    unsigned char coming[BITMAP];    /* asked for somewhere: only that connection writes there */
};

bool bit(const unsigned char *map, uint32_t number);
void set_bit(unsigned char *map, uint32_t number, bool value);
uint32_t chunk_length(const struct content *content, uint32_t chunk);
/* Reads the manifest and opens the file; what is there already is checked. Ends the program with a reason. */
void content_open(struct content *content, const char *file, const char *manifest, const char *digest);
/* Whether the chunk's SHA-256 is the manifest's; if so, it is had. */
bool content_check(struct content *content, uint32_t chunk, struct sha256 *hash);

/* ---- layers.c: what containerd keeps of container images ---- */

/* The directory of its blobs, named by their SHA-256. Ends the program with a reason. */
int layers_open(const char *directory);
/* The blob of a URL's path, open for reading, and its size; -1: there is none. */
int layer_open(int directory, const char *path, uint64_t *size);

/* ---- give.c: the side that answers ---- */

struct pollfd;
/* Gives `content`, or where that is NULL the layers of `directory`. */
void give_start(const struct content *content, int directory, const struct sockaddr_in *address, uint64_t rate);
/* Puts what to wait for into `polls`, returns how many; lowers *timeout (milliseconds) to what the rate asks for. */
int give_polls(struct pollfd *polls, int64_t now, bool limited, int *timeout);
void give_turn(const struct pollfd *polls, int count, int64_t now);

/* ---- take.c: the side that asks ---- */

void take_start(struct content *content, const struct sockaddr_in *server, const struct sockaddr_in *own, int64_t now);
int take_polls(struct pollfd *polls, int64_t now);
void take_turn(const struct pollfd *polls, int count, int64_t now);
/* Bytes that came checked: from the server, from peers; and those that were thrown away. */
void take_count(uint64_t *server, uint64_t *peers, uint64_t *wasted);
void take_end(void);

/* A line for whoever started the program. Nobody reads it after the end: that is no error. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
