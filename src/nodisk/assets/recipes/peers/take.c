/* The side that asks: the server, and the peers that the server names.
 *
 * Of every chunk one connection is in charge at a time. From peers the chunk that fewest of the others have comes
 * first, by lot among equals; the server is asked, one chunk at a time, for what none of the connected peers has, and
 * for anything when they stand still. So machines that boot together hold different chunks, and the server's wire
 * carries what the room does not have yet. */
#define _GNU_SOURCE
#include "peers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONNECT_MS = 1500,       /* for a peer; */
    SILENT_MS = 4000,        /* for a peer that has been asked and says nothing */
    SERVER_MS = 20000,       /* the same of the server, whose wire the whole room shares */
    SLOW_MS = 8000,          /* a peer's chunk may take this long until it is known what is usual, */
    SLOW_LEAST = 1500,       /* later eight times the usual, but at least this */
    FIRST_MS = 2000,         /* at the start the server is asked for chunks when the peers had so long to answer */
    STILL_MS = 1500,         /* without a chunk: then the server is asked for anything */
    LOOK_AGAIN = 20,         /* whether there is something to ask for, where there was nothing */
    ASK_AGAIN = 300,         /* a peer that had nothing of use is asked what it has by now */
    USELESS_MS = 3000,       /* without anything of use from it: another peer gets its place */
    AWAY_MS = 500,           /* not asked again so soon after it failed, twice as long each time (it may just start) */
    BUSY_MS = 300,           /* at least, for one that has no place free */
    LEFT_MS = 5000,          /* the same for one that was too slow */
    FAILURES = 6,            /* then it is not asked any more */
    LIST_MS = 1000, LIST_LATER = 5000, /* how often the server is asked for peers: at the start, where they are few, */
    LIST_SOON = 10000,       /* for so long, and later */
    LIST_MAX = 8192,         /* bytes of such a list */
    SERVER_BAD = 8,          /* chunks of the server that are not the manifest's: the server's file is another one */
};

enum state { AWAY, CONNECTING, READY, ASKED, BODY };
enum kind { PEER, SERVER, LIST };

struct source {
    enum kind kind;
    enum state state;
    int socket, slot;
    struct sockaddr_in address;
    bool banned, asks_have, close;
    int failures;
    int64_t since;           /* ms: when this state began */
    int64_t moved, useful, next;
    uint32_t chunk;          /* ASKED, BODY: which one (not when asks_have) */
    uint64_t got, length;
    size_t in;
    struct sha256 hash;
    unsigned char have[BITMAP];
    char head[RESPONSE_MAX];
};

static struct content *content;
static struct sockaddr_in own;
static struct source sources[2 + KNOWN_MAX]; /* the server, its list, peers */
static int known = 2, server_bad;
static uint64_t from_server, from_peers, wasted;
static int64_t last_chunk, began;
static bool listed, answered; /* the server has named peers (or none); one of them has said what it has */
static double usual; /* ms of a peer's chunk */
static char list[LIST_MAX + 1];
static unsigned char buffer[65536];

static const char *name(const struct source *source)
{
    static char text[INET_ADDRSTRLEN];
    return inet_ntop(AF_INET, &source->address.sin_addr, text, sizeof text);
}

void take_start(struct content *what, const struct sockaddr_in *server, const struct sockaddr_in *self, int64_t now)
{
    content = what;
    own = *self;
    sources[0] = (struct source){.kind = SERVER, .address = *server};
    sources[1] = (struct source){.kind = LIST, .address = *server};
    last_chunk = began = now;
    srandom((unsigned)(own.sin_addr.s_addr ^ (uint32_t)now ^ (uint32_t)getpid() << 16));
}

static void leave(struct source *source, int64_t now, int64_t pause)
{
    if (source->state == AWAY)
        return;
    if (source->state >= ASKED && source->kind != LIST && !source->asks_have) {
        set_bit(content->coming, source->chunk, false);
        wasted += source->got;
    }
    close(source->socket);
    source->state = AWAY;
    source->next = now + pause;
    memset(source->have, 0, sizeof source->have);
}

static int64_t pause_of(const struct source *source)
{
    return source->kind == PEER ? AWAY_MS << source->failures : 1000;
}

static void failed(struct source *source, int64_t now)
{
    source->failures += source->failures < FAILURES;
    leave(source, now, pause_of(source));
}

/* What it sent is not what it may send: a peer is never asked again. */
static void lied(struct source *source, const char *what, int64_t now)
{
    if (source->kind == PEER) {
        say("bad %s %s", name(source), what);
        source->banned = true;
    } else if (source->kind == SERVER && ++server_bad >= SERVER_BAD) {
        die("the server's file is not what the manifest says (%s)", what);
    }
    failed(source, now);
}

static bool asked(struct source *source, enum state state, const char *text, int64_t now)
{
    size_t size = strlen(text);
    /* A request is small: if the kernel does not take it whole, the connection is of no use. */
    if (send(source->socket, text, size, MSG_NOSIGNAL) != (ssize_t)size) {
        source->state = READY;
        failed(source, now);
        return false;
    }
    source->state = state;
    source->since = source->moved = now;
    source->in = 0;
    source->got = 0;
    return true;
}

static void connect_to(struct source *source, int64_t now)
{
    struct sockaddr_in from = own;
    from.sin_port = 0;
    source->next = now + 1000;
    source->socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (source->socket < 0)
        return;
    if (bind(source->socket, (struct sockaddr *)&from, sizeof from) != 0 ||
        (connect(source->socket, (struct sockaddr *)&source->address, sizeof source->address) != 0 && errno != EINPROGRESS)) {
        close(source->socket);
        source->failures += source->failures < FAILURES;
        source->next = now + pause_of(source);
        return;
    }
    source->state = CONNECTING;
    source->since = source->moved = source->useful = now;
    source->asks_have = false;
    source->close = false;
}

/* ---- what to ask for ---- */

static uint32_t pick(const struct source *source, bool anything)
{
    uint32_t best = UINT32_MAX, equals = 0;
    int fewest = TAKE_MAX + 1, active = 0;
    const unsigned char *maps[TAKE_MAX];
    for (int i = 2; i < known && active < TAKE_MAX; i++)
        if (sources[i].state != AWAY)
            maps[active++] = sources[i].have;
    for (uint32_t i = 0; i < content->chunks; i++) {
        int others = 0;
        if (bit(content->have, i) || bit(content->coming, i) || (source->kind == PEER && !bit(source->have, i)))
            continue;
        for (int p = 0; p < active; p++)
            others += bit(maps[p], i);
        if (source->kind == SERVER && others > 0 && !anything)
            continue;
        if (others < fewest) {
            fewest = others;
            equals = 0;
        }
        if (others == fewest && (uint32_t)random() % ++equals == 0)
            best = i;
    }
    return best;
}

/* At the end, a chunk that somebody is slow to give goes to an idle one that has it. */
static void take_over(const struct source *idle, int64_t now)
{
    for (int i = 0; i < known; i++) {
        struct source *slow = &sources[i];
        if (slow->state < ASKED || slow->kind == LIST || slow->asks_have || slow == idle ||
            (idle->kind == PEER && !bit(idle->have, slow->chunk)))
            continue;
        double patience = usual > 0 && 4 * usual > 400 ? 4 * usual : 400;
        if ((double)(now - slow->since) > patience) {
            leave(slow, now, slow->kind == SERVER ? 0 : LEFT_MS);
            return;
        }
    }
}

static void ask(struct source *source, int64_t now)
{
    char text[512];
    if (source->kind == LIST) {
        asked(source, ASKED, "GET /peers HTTP/1.1\r\nHost: nodisk\r\nConnection: close\r\n\r\n", now);
        return;
    }
    if (source->kind == SERVER && !(listed && (answered || known == 2)) && now - began < FIRST_MS)
        return;
    bool still = now - last_chunk > STILL_MS;
    uint32_t chunk = pick(source, still);
    if (chunk == UINT32_MAX && (source->kind == PEER || still)) {
        take_over(source, now);
        chunk = pick(source, still);
    }
    if (chunk == UINT32_MAX) {
        source->next = now + LOOK_AGAIN;
        if (source->kind == PEER && now - source->since > ASK_AGAIN) {
            snprintf(text, sizeof text, "HEAD %s HTTP/1.1\r\nHost: nodisk\r\n\r\n", content->path);
            source->asks_have = true;
            asked(source, ASKED, text, now);
        }
        return;
    }
    uint64_t from = (uint64_t)chunk * content->chunk_size;
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: nodisk\r\nRange: bytes=%llu-%llu\r\n\r\n", content->path,
             (unsigned long long)from, (unsigned long long)(from + chunk_length(content, chunk) - 1));
    source->chunk = chunk;
    source->asks_have = false;
    if (asked(source, ASKED, text, now)) {
        set_bit(content->coming, chunk, true);
        sha256_start(&source->hash);
    }
}

/* ---- what comes ---- */

static void whole(struct source *source, int64_t now)
{
    if (source->kind == LIST) {
        leave(source, now, known < 2 + TAKE_MAX && now - began < LIST_SOON ? LIST_MS : LIST_LATER);
        list[source->got] = 0;
        listed = true;
        for (char *line = strtok(list, "\n"); line && known < 2 + KNOWN_MAX; line = strtok(NULL, "\n")) {
            struct sockaddr_in address;
            bool new = parse_address(line, ntohs(own.sin_port), &address) && address.sin_addr.s_addr != own.sin_addr.s_addr;
            for (int i = 2; i < known && new; i++)
                new = sources[i].address.sin_addr.s_addr != address.sin_addr.s_addr;
            if (new)
                sources[known++] = (struct source){.kind = PEER, .address = address};
        }
        return;
    }
    set_bit(content->coming, source->chunk, false);
    source->state = READY;
    if (!content_check(content, source->chunk, &source->hash)) {
        char what[32];
        snprintf(what, sizeof what, "chunk %u", source->chunk);
        wasted += source->got;
        lied(source, what, now);
        return;
    }
    if (source->kind == PEER) {
        double took = (double)(now - source->since + 1);
        usual = usual > 0 ? 0.9 * usual + 0.1 * took : took;
        from_peers += source->got;
    } else {
        from_server += source->got;
    }
    source->failures = 0;
    source->since = source->useful = last_chunk = source->next = now;
    if (source->close)
        leave(source, now, 0);
}

/* Bytes of a body: into the file, whose chunk nobody else writes, or into the list. */
static void body(struct source *source, const void *data, size_t size, int64_t now)
{
    if (source->kind == LIST) {
        memcpy(list + source->got, data, size);
    } else {
        off_t at = (off_t)source->chunk * content->chunk_size + (off_t)source->got;
        if (pwrite(content->file, data, size, at) != (ssize_t)size)
            die("the file can't be written: %s", strerror(errno));
        sha256_add(&source->hash, data, size);
    }
    source->got += size;
    source->moved = now;
    if (source->got == source->length)
        whole(source, now);
}

static void head(struct source *source, int64_t now)
{
    static struct response came;
    int used = parse_response(source->head, source->in, &came);
    if (used == 0)
        return;
    if (used < 0) {
        lied(source, "no HTTP", now);
        return;
    }
    source->close = came.close;
    if (source->kind == PEER && came.hex > 0) {
        if (came.hex != 2 * ((content->chunks + 7) / 8)) {
            lied(source, "another file's chunks", now);
            return;
        }
        memcpy(source->have, came.have, sizeof source->have);
        answered = true;
    }
    size_t more = source->in - (size_t)used;
    if (source->kind == LIST) {
        if (came.status != 200 || came.length > LIST_MAX || more > came.length) {
            failed(source, now);
            source->next = now + LIST_LATER;
            return;
        }
    } else if (source->asks_have || came.status != 206) {
        bool free_of_charge = source->asks_have || came.length == 0;
        if (!source->asks_have)
            set_bit(content->coming, source->chunk, false);
        source->state = READY;
        source->since = now;
        if (source->kind == SERVER || came.hex == 0 || more > 0 || !free_of_charge || source->close)
            failed(source, now); /* it has another file, or none */
        return;
    } else {
        uint64_t from = (uint64_t)source->chunk * content->chunk_size;
        uint32_t length = chunk_length(content, source->chunk);
        if (!came.ranged || came.from != from || came.to != from + length - 1 || came.total != content->size ||
            came.length != length || more > length) {
            lied(source, "another range", now);
            return;
        }
    }
    source->length = came.length;
    source->state = BODY;
    if (more > 0 || source->length == 0)
        body(source, source->head + used, more, now);
}

static void receive(struct source *source, int64_t now)
{
    /* A few rounds, so that one fast peer does not keep the others waiting. */
    for (int round = 0; round < 4; round++) {
        ssize_t got;
        if (source->state == ASKED) {
            got = recv(source->socket, source->head + source->in, sizeof source->head - source->in, 0);
        } else if (source->state == BODY) {
            uint64_t left = source->length - source->got;
            got = recv(source->socket, buffer, left < sizeof buffer ? (size_t)left : sizeof buffer, 0);
        } else if (source->state == READY) {
            got = recv(source->socket, buffer, 1, 0);
            if (got > 0)
                got = 0; /* nobody asked */
        } else {
            return;
        }
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0) {
            /* The server closes an idle connection now and then. */
            if (source->kind == SERVER && source->state == READY)
                leave(source, now, 100);
            else if (source->kind == PEER && source->state == ASKED && source->asks_have && source->in == 0)
                leave(source, now, BUSY_MS + random() % BUSY_MS); /* its places are taken: no failure */
            else
                failed(source, now);
            return;
        }
        if (source->state == ASKED) {
            source->in += (size_t)got;
            head(source, now);
        } else {
            body(source, buffer, (size_t)got, now);
        }
    }
}

/* ---- the turn ---- */

static bool too_slow(const struct source *source, int64_t now)
{
    if (source->kind != PEER)
        return now - source->moved > SERVER_MS;
    double patience = usual > 0 ? 8 * usual : SLOW_MS;
    patience = patience < SLOW_LEAST ? SLOW_LEAST : patience > SLOW_MS ? SLOW_MS : patience;
    return now - source->moved > SILENT_MS || (source->state >= ASKED && (double)(now - source->since) > patience);
}

static void look_after(int64_t now)
{
    int busy = 0;
    for (int i = 0; i < known; i++) {
        struct source *source = &sources[i];
        if (source->state == CONNECTING && now - source->since > (source->kind == PEER ? CONNECT_MS : SERVER_MS)) {
            failed(source, now);
        } else if (source->state >= ASKED && too_slow(source, now)) {
            if (source->kind == PEER)
                say("slow %s", name(source));
            failed(source, now);
            if (source->kind == PEER)
                source->next = now + LEFT_MS;
        } else if (source->state == READY) {
            if (source->kind == PEER && now - source->useful > USELESS_MS)
                leave(source, now, USELESS_MS);
            else if (now >= source->next)
                ask(source, now);
        }
        busy += source->kind == PEER && source->state != AWAY;
    }
    for (int i = 0; i < 2; i++)
        if (sources[i].state == AWAY && now >= sources[i].next)
            connect_to(&sources[i], now);
    while (busy < TAKE_MAX) {
        struct source *chosen = NULL;
        uint32_t equals = 0;
        for (int i = 2; i < known; i++) {
            struct source *one = &sources[i];
            if (one->state == AWAY && !one->banned && one->failures < FAILURES && now >= one->next && (uint32_t)random() % ++equals == 0)
                chosen = one;
        }
        if (chosen == NULL)
            break;
        connect_to(chosen, now);
        busy++;
    }
}

int take_polls(struct pollfd *polls, int64_t now)
{
    int count = 0;
    look_after(now);
    for (int i = 0; i < known; i++) {
        sources[i].slot = -1;
        if (sources[i].state != AWAY)
            polls[sources[i].slot = count++] =
                (struct pollfd){.fd = sources[i].socket, .events = sources[i].state == CONNECTING ? POLLOUT : POLLIN};
    }
    return count;
}

void take_turn(const struct pollfd *polls, int count, int64_t now)
{
    for (int i = 0; i < known; i++) {
        struct source *source = &sources[i];
        if (source->state == AWAY || source->slot < 0 || source->slot >= count || polls[source->slot].revents == 0)
            continue;
        if (source->state == CONNECTING) {
            int error = 0;
            socklen_t size = sizeof error;
            if (getsockopt(source->socket, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error) {
                failed(source, now);
            } else {
                source->state = READY;
                source->since = now - ASK_AGAIN - 1; /* a peer is asked at once what it has */
                source->next = now;
            }
        } else {
            receive(source, now);
        }
    }
}

void take_count(uint64_t *server, uint64_t *peers, uint64_t *thrown)
{
    *server = from_server;
    *peers = from_peers;
    *thrown = wasted;
}

void take_end(void)
{
    for (int i = 0; i < known; i++)
        leave(&sources[i], 0, 0);
    known = 0;
}
