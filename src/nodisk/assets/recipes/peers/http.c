/* The heads of HTTP/1.1 messages (RFC 9112, RFC 9110 section 14), as strict as two programs need that know each other
 * and nginx. Hostile until parsed: no allocation, no pointer beyond text + size, numbers with an end. */
#define _GNU_SOURCE
#include "peers.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/* Where the head ends (after its empty line); 0: not yet; -1: it holds what no head may. */
static int head_size(const char *text, size_t size, size_t most)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\n') {
            if (i == 0 || text[i - 1] != '\r')
                return -1;
            if (i >= 3 && text[i - 2] == '\n')
                return (int)(i + 1);
        } else if (i > 0 && text[i - 1] == '\r') {
            return -1;
        } else if ((c < ' ' && c != '\r' && c != '\t') || c == 127) {
            return -1;
        }
        if (i + 1 >= most)
            return -1;
    }
    return 0;
}

static bool number(const char **at, const char *end, uint64_t *found)
{
    const char *from = *at;
    *found = 0;
    while (*at < end && **at >= '0' && **at <= '9') {
        if (*at - from >= 15)
            return false;
        *found = *found * 10 + (uint64_t)(*(*at)++ - '0');
    }
    return *at > from;
}

static bool literal(const char **at, const char *end, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(end - *at) < size || memcmp(*at, word, size) != 0)
        return false;
    *at += size;
    return true;
}

struct line {
    const char *name, *value, *end; /* the value without the blanks around it */
    size_t name_size;
};

/* The next header of a head whose lines all end with CRLF: 1; 0 at the empty line; -1 for what is none. */
static int next_header(const char **at, const char *end, struct line *found)
{
    const char *stop = memchr(*at, '\r', (size_t)(end - *at));
    if (stop == NULL)
        return -1;
    if (stop == *at)
        return 0;
    const char *colon = memchr(*at, ':', (size_t)(stop - *at));
    if (colon == NULL || colon == *at || colon[-1] == ' ' || colon[-1] == '\t' || **at == ' ' || **at == '\t')
        return -1;
    found->name = *at;
    found->name_size = (size_t)(colon - *at);
    found->value = colon + 1;
    found->end = stop;
    while (found->value < stop && (*found->value == ' ' || *found->value == '\t'))
        found->value++;
    while (found->end > found->value && (found->end[-1] == ' ' || found->end[-1] == '\t'))
        found->end--;
    *at = stop + 2;
    return 1;
}

static bool named(const struct line *line, const char *name)
{
    return line->name_size == strlen(name) && strncasecmp(line->name, name, line->name_size) == 0;
}

static bool says(const struct line *line, const char *word)
{
    return (size_t)(line->end - line->value) == strlen(word) && strncasecmp(line->value, word, strlen(word)) == 0;
}

int parse_request(const char *text, size_t size, struct request *found)
{
    int whole = head_size(text, size, REQUEST_MAX);
    if (whole <= 0)
        return whole;
    const char *at = text, *end = text + whole;
    memset(found, 0, sizeof *found);
    if (literal(&at, end, "HEAD "))
        found->head = true;
    else if (!literal(&at, end, "GET "))
        return -1;
    const char *stop = memchr(at, ' ', (size_t)(end - at));
    if (stop == NULL || *at != '/' || (size_t)(stop - at) >= sizeof found->path)
        return -1;
    memcpy(found->path, at, (size_t)(stop - at));
    at = stop;
    if (!literal(&at, end, " HTTP/1.1\r\n"))
        return -1;
    struct line line;
    int more;
    while ((more = next_header(&at, end, &line)) > 0) {
        if (named(&line, "Range")) {
            const char *from = line.value;
            if (found->ranged || !literal(&from, line.end, "bytes=") || !number(&from, line.end, &found->from) ||
                !literal(&from, line.end, "-"))
                return -1;
            if (from == line.end)
                found->to = UINT64_MAX;
            else if (!number(&from, line.end, &found->to) || from != line.end || found->to < found->from)
                return -1;
            found->ranged = true;
        } else if (named(&line, "Connection")) {
            found->close = found->close || says(&line, "close");
        } else if (named(&line, "Content-Length") || named(&line, "Transfer-Encoding")) {
            return -1; /* nobody sends anything here */
        }
    }
    return more < 0 ? -1 : whole;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hexadecimal(const char *text, size_t digits, unsigned char *found)
{
    for (size_t i = 0; i + 1 < digits; i += 2) {
        int high = digit(text[i]), low = digit(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        found[i / 2] = (unsigned char)(high << 4 | low);
    }
    return digits % 2 == 0;
}

int parse_response(const char *text, size_t size, struct response *found)
{
    int whole = head_size(text, size, RESPONSE_MAX);
    if (whole <= 0)
        return whole;
    const char *at = text, *end = text + whole;
    uint64_t status;
    bool sized = false;
    memset(found, 0, sizeof *found);
    if (!literal(&at, end, "HTTP/1.1 ") || !number(&at, end, &status) || status < 100 || status > 599 || (*at != ' ' && *at != '\r'))
        return -1;
    found->status = (int)status;
    at = (const char *)memchr(at, '\r', (size_t)(end - at)) + 2; /* head_size saw one */
    struct line line;
    int more;
    while ((more = next_header(&at, end, &line)) > 0) {
        const char *from = line.value;
        if (named(&line, "Content-Length")) {
            if (sized || !number(&from, line.end, &found->length) || from != line.end)
                return -1;
            sized = true;
        } else if (named(&line, "Content-Range")) {
            if (found->ranged)
                return -1;
            if (!literal(&from, line.end, "bytes ") || !number(&from, line.end, &found->from) || !literal(&from, line.end, "-") ||
                !number(&from, line.end, &found->to) || !literal(&from, line.end, "/") || !number(&from, line.end, &found->total) ||
                from != line.end || found->to < found->from || found->to >= found->total)
                continue; /* as a refusal writes it (bytes *, then the size): no range */
            found->ranged = true;
        } else if (named(&line, "Nodisk-Have")) {
            found->hex = (size_t)(line.end - line.value);
            if (found->hex == 0 || found->hex > HEX || !hexadecimal(line.value, found->hex, found->have))
                return -1;
        } else if (named(&line, "Connection")) {
            found->close = found->close || says(&line, "close");
        } else if (named(&line, "Transfer-Encoding")) {
            return -1; /* where the body ends must be known from the head */
        }
    }
    return more < 0 || !sized ? -1 : whole;
}

bool parse_digest(const char *text, unsigned char digest[32])
{
    return strnlen(text, 65) == 64 && hexadecimal(text, 64, digest);
}

bool parse_address(const char *text, uint16_t port, struct sockaddr_in *found)
{
    char address[INET_ADDRSTRLEN];
    const char *colon = strchr(text, ':');
    size_t size = colon ? (size_t)(colon - text) : strlen(text);
    uint64_t given = port;
    if (size >= sizeof address)
        return false;
    memcpy(address, text, size);
    address[size] = 0;
    memset(found, 0, sizeof *found);
    found->sin_family = AF_INET;
    if (inet_pton(AF_INET, address, &found->sin_addr) != 1)
        return false;
    if (colon) {
        const char *at = colon + 1, *end = at + strlen(at);
        if (!number(&at, end, &given) || at != end || given == 0 || given > 65535)
            return false;
    }
    found->sin_port = htons((uint16_t)given);
    return true;
}
