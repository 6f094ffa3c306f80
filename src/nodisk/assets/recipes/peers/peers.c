/* nodisk-peers: takes a file from the server and from machines that have parts of it, and gives on what it has.
 *
 * nodisk-peers FILE MANIFEST SHA256 SERVER[:PORT] ADDRESS:PORT RATE [leave]
 *
 * FILE is made or completed; MANIFEST is the file with its chunks' hashes, and SHA256 the manifest's own. It listens on
 * ADDRESS:PORT, where all peers do, and goes on giving when it has everything, then RATE bytes a second at most (0: no
 * limit); with `leave` it ends instead. Lines on its standard output:
 *   bad ADDRESS WHAT     the peer sent what the manifest denies; it is not asked again
 *   slow ADDRESS         the peer took too long; it is left for a while
 *   done MS SERVER PEERS WASTED   everything is here and checked: milliseconds, bytes from where, bytes thrown away
 *
 * nodisk-peers layers DIRECTORY ADDRESS:PORT RATE
 *
 * Gives container images' layers out of DIRECTORY, where containerd keeps them by their SHA-256:
 * GET /blobs/sha256:HEX, whole or a range.
 *
 * It ends with status 1 and a reason on standard error when it can't go on. docs/explanation/peers.md */
#define _GNU_SOURCE
#include "peers.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { NOBODY = 65534, GIVE_UP = 120000 /* ms without a chunk */ };

static struct content content;

void say(const char *format, ...)
{
    char line[256];
    va_list words;
    va_start(words, format);
    int size = vsnprintf(line, sizeof line - 1, format, words);
    va_end(words);
    size = size < (int)sizeof line - 2 ? size : (int)sizeof line - 2;
    line[size++] = '\n';
    if (write(STDOUT_FILENO, line, (size_t)size) < 0)
        return; /* whoever listened has gone */
}

void die(const char *format, ...)
{
    va_list words;
    va_start(words, format);
    fputs("nodisk-peers: ", stderr);
    vfprintf(stderr, format, words);
    fputc('\n', stderr);
    va_end(words);
    exit(1);
}

static int64_t clock_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* From here on: nobody's rights, no more processes, no larger file. */
static void give_up_rights(void)
{
    struct rlimit none = {0, 0}, file = {content.size, content.size};
    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0))
        die("cannot give up root's rights: %s", strerror(errno));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || setrlimit(RLIMIT_NPROC, &none) != 0 || setrlimit(RLIMIT_FSIZE, &file) != 0)
        die("cannot limit itself: %s", strerror(errno));
}

static uint64_t rate_of(const char *text)
{
    char *end = NULL;
    unsigned long long rate = strtoull(text, &end, 10);
    if (*end || end == text)
        die("no rate: %s", text);
    return rate;
}

static void give_layers(const char *directory, const char *address, const char *rate)
{
    static struct pollfd polls[SOCKETS];
    struct sockaddr_in own;
    if (!parse_address(address, 0, &own))
        die("no address: %s", address);
    give_start(NULL, layers_open(directory), &own, rate_of(rate));
    give_up_rights();
    for (;;) {
        int timeout = 1000;
        int all = give_polls(polls, clock_ms(), true, &timeout);
        if (poll(polls, (nfds_t)all, timeout) < 0 && errno != EINTR)
            die("poll: %s", strerror(errno));
        give_turn(polls, all, clock_ms());
    }
}

int main(int count, char **words)
{
    static struct pollfd polls[SOCKETS];
    struct sockaddr_in server, own;
    signal(SIGPIPE, SIG_IGN);
    if (count == 5 && strcmp(words[1], "layers") == 0)
        give_layers(words[2], words[3], words[4]);
    if (count < 7 || count > 8 || (count == 8 && strcmp(words[7], "leave") != 0))
        die("usage: nodisk-peers FILE MANIFEST SHA256 SERVER[:PORT] ADDRESS:PORT RATE [leave], or layers DIRECTORY ADDRESS:PORT RATE");
    if (!parse_address(words[4], 80, &server) || !parse_address(words[5], 0, &own))
        die("no address: %s, %s", words[4], words[5]);
    uint64_t rate = rate_of(words[6]);
    content_open(&content, words[1], words[2], words[3]);
    int reading = open(words[1], O_RDONLY | O_CLOEXEC);
    if (reading < 0)
        die("%s: %s", words[1], strerror(errno));
    give_start(&content, -1, &own, rate);
    give_up_rights();
    int64_t began = clock_ms(), moved = began;
    uint32_t missing = content.missing;
    bool taking = true;
    take_start(&content, &server, &own, began);
    for (;;) {
        int64_t now = clock_ms();
        int timeout = taking ? 50 : 1000;
        if (content.missing != missing) {
            missing = content.missing;
            moved = now;
        }
        if (taking && missing == 0) {
            uint64_t from_server, from_peers, wasted;
            take_end();
            take_count(&from_server, &from_peers, &wasted);
            say("done %lld %llu %llu %llu", (long long)(now - began), (unsigned long long)from_server,
                (unsigned long long)from_peers, (unsigned long long)wasted);
            if (count == 8)
                return 0;
            close(content.file);
            content.file = reading;
            taking = false;
            /* The machine starts for real now: it has better things to do. */
            setpriority(PRIO_PROCESS, 0, 19);
        }
        if (taking && now - moved > GIVE_UP)
            die("nothing came for %d seconds, %u of %u chunks are missing", GIVE_UP / 1000, missing, content.chunks);
        int giving = give_polls(polls, now, !taking, &timeout);
        int all = giving + (taking ? take_polls(polls + giving, now) : 0);
        if (poll(polls, (nfds_t)all, timeout) < 0 && errno != EINTR)
            die("poll: %s", strerror(errno));
        now = clock_ms();
        give_turn(polls, giving, now);
        if (taking)
            take_turn(polls + giving, all - giving, now);
    }
}
