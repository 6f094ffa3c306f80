/* The side that answers: ranges of the image, with which chunks of it are here, or container images' layers. */
#define _GNU_SOURCE
#include "peers.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PATIENCE = 10000,      /* ms without a byte, after which a connection is closed */
    RANGE_MAX = 1 << 26,   /* bytes of one answer */
    AT_ONCE = 1 << 17,     /* bytes given to the kernel at a time */
    BUCKET_MS = 50,        /* what may be sent at once where the rate is limited */
};

struct taker {
    int socket;            /* 0: free */
    int slot;              /* in poll's array, -1: not waited for */
    in_addr_t address;
    int64_t moved;         /* ms: when it last did something */
    size_t in, out, sent;  /* bytes of the request, of the answer's head, and of that already sent */
    off_t at;
    uint64_t left;         /* of the body */
    int layer;             /* open, while it is given; 0: none */
    bool close;
    char request[REQUEST_MAX], head[RESPONSE_MAX];
};

static const struct content *content; /* NULL: layers are given */
static struct taker takers[GIVE_MAX];
static int door, door_slot, directory;
static uint64_t rate;      /* bytes a second; 0: no limit */
static double allowed;
static int64_t counted;
static bool held_back;

void give_start(const struct content *what, int layers, const struct sockaddr_in *address, uint64_t bytes)
{
    int on = 1;
    content = what;
    directory = layers;
    rate = bytes;
    door = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (door < 0 || setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(door, (const struct sockaddr *)address, sizeof *address) != 0 || listen(door, GIVE_MAX) != 0)
        die("cannot listen: %s", strerror(errno));
}

static void leave(struct taker *taker)
{
    close(taker->socket);
    taker->socket = 0;
    if (taker->layer > 0)
        close(taker->layer);
    taker->layer = 0;
}

static void welcome(int64_t now)
{
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    int socket = accept4(door, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct taker *free_one = NULL;
    int same = 0;
    if (socket < 0)
        return;
    for (int i = 0; i < GIVE_MAX; i++) {
        if (takers[i].socket == 0)
            free_one = &takers[i];
        else if (takers[i].address == from.sin_addr.s_addr)
            same++;
    }
    if (free_one == NULL || same >= GIVE_EACH) {
        close(socket); /* busy: it asks somebody else */
        return;
    }
    memset(free_one, 0, sizeof *free_one);
    free_one->socket = socket;
    free_one->slot = -1;
    free_one->address = from.sin_addr.s_addr;
    free_one->moved = now;
}

static bool here(uint64_t from, uint64_t to)
{
    for (uint64_t i = from / content->chunk_size; i <= to / content->chunk_size; i++)
        if (!bit(content->have, (uint32_t)i))
            return false;
    return true;
}

/* The image: only ranges, and with every answer what is here. */
static void answer_image(struct taker *taker, const struct request *asked)
{
    static char hex[HEX + 1];
    static const char digits[] = "0123456789abcdef";
    const char *status = "404 Not Found";
    char range[96] = "";
    bool known = strcmp(asked->path, content->path) == 0;
    if (known && asked->head) {
        status = "200 OK";
    } else if (known && (!asked->ranged || asked->to >= content->size || asked->to - asked->from >= RANGE_MAX)) {
        status = "416 Range Not Satisfiable";
    } else if (known && here(asked->from, asked->to)) {
        status = "206 Partial Content";
        taker->left = asked->to - asked->from + 1;
        taker->at = (off_t)asked->from;
        snprintf(range, sizeof range, "Content-Range: bytes %llu-%llu/%llu\r\n", (unsigned long long)asked->from,
                 (unsigned long long)asked->to, (unsigned long long)content->size);
    }
    uint32_t bytes = (content->chunks + 7) / 8;
    for (uint32_t i = 0; i < bytes; i++) {
        hex[2 * i] = digits[content->have[i] >> 4];
        hex[2 * i + 1] = digits[content->have[i] & 15];
    }
    hex[known ? 2 * bytes : 0] = 0;
    taker->out = (size_t)snprintf(taker->head, sizeof taker->head, "HTTP/1.1 %s\r\nContent-Length: %llu\r\n%s%s%s%s%s\r\n", status,
                                  (unsigned long long)taker->left, range, known ? "Nodisk-Have: " : "", hex, known ? "\r\n" : "",
                                  taker->close ? "Connection: close\r\n" : "");
}

/* A layer, whole or from somewhere on. One a connection: who has got it leaves the place to others. */
static void answer_layer(struct taker *taker, const struct request *asked)
{
    uint64_t size = 0, length = 0;
    char range[96] = "";
    const char *status = "404 Not Found";
    int file = layer_open(directory, asked->path, &size);
    taker->close = true;
    if (file >= 0 && asked->ranged && asked->from >= size) {
        status = "416 Range Not Satisfiable";
    } else if (file >= 0) {
        uint64_t last = asked->ranged && asked->to < size ? asked->to : size - 1;
        status = asked->ranged ? "206 Partial Content" : "200 OK";
        length = last - asked->from + 1;
        if (asked->ranged)
            snprintf(range, sizeof range, "Content-Range: bytes %llu-%llu/%llu\r\n", (unsigned long long)asked->from,
                     (unsigned long long)last, (unsigned long long)size);
        taker->at = (off_t)asked->from;
        taker->left = asked->head ? 0 : length;
    }
    if (file >= 0 && taker->left == 0)
        close(file);
    else if (file >= 0)
        taker->layer = file;
    taker->out = (size_t)snprintf(taker->head, sizeof taker->head, "HTTP/1.1 %s\r\nContent-Length: %llu\r\n%sConnection: close\r\n\r\n",
                                  status, (unsigned long long)length, range);
}

static void answer(struct taker *taker, int used)
{
    struct request asked;
    taker->sent = 0;
    taker->left = 0;
    if (used < 0) {
        taker->close = true;
        taker->out = (size_t)snprintf(taker->head, sizeof taker->head,
                                      "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    }
    parse_request(taker->request, taker->in, &asked);
    taker->close = asked.close;
    memmove(taker->request, taker->request + used, taker->in - (size_t)used);
    taker->in -= (size_t)used;
    if (content != NULL)
        answer_image(taker, &asked);
    else
        answer_layer(taker, &asked);
}

static void listen_to(struct taker *taker, int64_t now)
{
    if (taker->in < sizeof taker->request) {
        ssize_t got = recv(taker->socket, taker->request + taker->in, sizeof taker->request - taker->in, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            leave(taker);
            return;
        }
        if (got > 0)
            taker->in += (size_t)got;
    }
    struct request asked;
    int used = parse_request(taker->request, taker->in, &asked);
    if (used != 0) {
        /* A head that trickles in does not count as a move; a whole one does. */
        taker->moved = now;
        answer(taker, used);
    }
}

static void speak(struct taker *taker, int64_t now)
{
    if (taker->sent < taker->out) {
        ssize_t sent = send(taker->socket, taker->head + taker->sent, taker->out - taker->sent,
                            MSG_NOSIGNAL | (taker->left ? MSG_MORE : 0));
        if (sent < 0) {
            if (errno != EAGAIN && errno != EINTR)
                leave(taker);
            return;
        }
        taker->sent += (size_t)sent;
        taker->moved = now;
        if (taker->sent < taker->out)
            return;
    }
    if (taker->left > 0) {
        size_t most = taker->left < AT_ONCE ? (size_t)taker->left : AT_ONCE;
        if (held_back && allowed < (double)most)
            most = allowed > 0 ? (size_t)allowed : 0;
        if (most == 0)
            return;
        ssize_t sent = sendfile(taker->socket, content != NULL ? content->file : taker->layer, &taker->at, most);
        if (sent <= 0) {
            if (sent == 0 || (errno != EAGAIN && errno != EINTR))
                leave(taker);
            return;
        }
        taker->left -= (uint64_t)sent;
        taker->moved = now;
        allowed -= held_back ? (double)sent : 0;
    }
    if (taker->left == 0) {
        taker->out = taker->sent = 0;
        if (taker->close) {
            shutdown(taker->socket, SHUT_WR);
            leave(taker);
        } else if (taker->in > 0) {
            listen_to(taker, now); /* the next request has come already */
        }
    }
}

int give_polls(struct pollfd *polls, int64_t now, bool limited, int *timeout)
{
    int count = 0;
    held_back = limited && rate > 0;
    if (held_back) {
        double most = (double)rate * BUCKET_MS / 1000;
        allowed += (double)rate * (double)(now - counted) / 1000;
        allowed = allowed > most ? most : allowed;
    }
    counted = now;
    polls[door_slot = count++] = (struct pollfd){.fd = door, .events = POLLIN};
    for (int i = 0; i < GIVE_MAX; i++) {
        struct taker *taker = &takers[i];
        taker->slot = -1;
        if (taker->socket == 0)
            continue;
        if (now - taker->moved > PATIENCE) {
            leave(taker);
            continue;
        }
        bool speaks = taker->out > 0;
        if (speaks && taker->sent == taker->out && held_back && allowed < 1) {
            *timeout = *timeout < 5 ? *timeout : 5;
            taker->moved = now; /* it waits for us */
            continue;
        }
        polls[taker->slot = count++] = (struct pollfd){.fd = taker->socket, .events = speaks ? POLLOUT : POLLIN};
    }
    return count;
}

void give_turn(const struct pollfd *polls, int count, int64_t now)
{
    for (int i = 0; i < GIVE_MAX; i++) {
        struct taker *taker = &takers[i];
        if (taker->socket == 0 || taker->slot < 0 || taker->slot >= count || polls[taker->slot].revents == 0)
            continue;
        if (taker->out > 0)
            speak(taker, now);
        else
            listen_to(taker, now);
    }
    if (polls[door_slot].revents)
        welcome(now);
}
