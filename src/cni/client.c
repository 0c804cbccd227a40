// The CNI plugin in C: the same client as main.ts, in under a millisecond instead of the 25 that Node.js takes to start.
//
// One request to the agent, one answer to stdout (wire.ts has the messages). It judges nothing but what it needs itself: the
// configuration is JSON, `socket`, `timeoutSec`, and `cniVersion` to answer errors in. Static buffers, no heap, no shell.
// It always ends: SIGALRM covers stdin, connection and answer, and says so with CNI error 11 (try again later).
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CONFIG_MAX = 256 * 1024, REQUEST_MAX = 1024 * 1024, ANSWER_MAX = 64 * 1024, DEPTH_MAX = 100, TEXT_MAX = 128 };
enum { INVALID_ENVIRONMENT = 4, IO = 5, UNDECODABLE = 6, INVALID_CONFIG = 7, TRY_AGAIN = 11 };
#define NEWEST "1.1.0"
#define SUPPORTED "[\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]"

extern char **environ;
static char config[CONFIG_MAX + 2], request[REQUEST_MAX], answer[ANSWER_MAX + 1], late[512];
static char version[TEXT_MAX] = NEWEST, path[TEXT_MAX] = "/run/manx/cni.sock";
static size_t config_length, request_length;
static double timeout_sec = 30, started;
static const char *at; // where the scanner is in `config`, which ends with a zero byte

static void print(const char *text, size_t length) {
  for (ssize_t n; length > 0; text += n, length -= (size_t)n)
    if ((n = write(1, text, length)) < 0 && errno != EINTR) _exit(1);
    else if (n < 0) n = 0;
}

// No message holds a quote or a backslash: paths and versions with one are refused before they are used.
static int format_error(char *out, size_t room, int code, const char *message) {
  return snprintf(out, room, "{\"cniVersion\":\"%s\",\"code\":%d,\"msg\":\"%s\"}\n", version, code, message);
}

static _Noreturn void fail(int code, const char *format, ...) {
  char message[384], text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  signal(SIGALRM, SIG_IGN);
  print(text, (size_t)format_error(text, sizeof text, code, message));
  exit(1);
}

static void on_alarm(int signal) {
  (void)signal;
  print(late, strlen(late));
  _exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// From now on, being later than `timeout_sec` after the start ends the program with `message`.
static void set_deadline(const char *message) {
  double left = started + timeout_sec - now();
  if (left < 0.001) left = 0.001;
  struct itimerval timer = {.it_value = {(time_t)left, (suseconds_t)((left - (double)(time_t)left) * 1e6)}};
  format_error(late, sizeof late, TRY_AGAIN, message);
  signal(SIGALRM, on_alarm);
  setitimer(ITIMER_REAL, &timer, NULL);
}

static void skip_space(void) { at += strspn(at, " \t\r\n"); }

static int skip_digits(void) {
  size_t count = strspn(at, "0123456789");
  at += count;
  return count > 0;
}

static int scan_number(void) {
  if (*at == '-') at++;
  if (*at == '0') at++;
  else if (!skip_digits()) return 0;
  if (*at == '.' && (at++, !skip_digits())) return 0;
  if ((*at == 'e' || *at == 'E') && (at++, at += (*at == '+' || *at == '-'), !skip_digits())) return 0;
  return 1;
}

// A string at `at`; its text goes to `out` if it is short printable ASCII with no quote or backslash, else "\1" does.
static int scan_string(char out[TEXT_MAX]) {
  int length = 0;
  for (at++; *at != '"'; at++) {
    unsigned c = (unsigned char)*at;
    if (c < 0x20) return 0;
    if (c == '\\') {
      char hex[5] = "";
      if (*++at == 'u') {
        if (strspn(at + 1, "0123456789abcdefABCDEF") < 4) return 0;
        memcpy(hex, at + 1, 4);
        at += 4;
        c = (unsigned)strtoul(hex, NULL, 16);
      } else if (*at == '\0' || strchr("\"\\/bfnrt", *at) == NULL) return 0;
      else c = *at == '/' ? '/' : 0;
    }
    if (c < 0x20 || c > 0x7e || c == '"' || c == '\\' || length >= TEXT_MAX - 1) length = TEXT_MAX;
    else out[length++] = (char)c;
  }
  at++;
  if (length == TEXT_MAX) strcpy(out, "\1");
  else out[length] = '\0';
  return 1;
}

// A member of the configuration itself: keep what this program needs.
static void keep(const char *key, const char *value, const char *text) {
  if (strcmp(key, "cniVersion") == 0 && *value == '"' && *text != '\0' && text[strspn(text, "0123456789.")] == '\0')
    strcpy(version, text);
  if (strcmp(key, "socket") == 0) strcpy(path, *value == '"' ? text : "");
  if (strcmp(key, "timeoutSec") == 0) timeout_sec = strchr("-0123456789", *value) ? strtod(value, NULL) : 0;
}

static int scan_value(int depth, char text[TEXT_MAX]) {
  char key[TEXT_MAX], inner[TEXT_MAX];
  if (*at == '"') return scan_string(text);
  if (*at == '-' || (*at >= '0' && *at <= '9')) return scan_number();
  for (const char *const *word = (const char *const[]){"true", "false", "null", NULL}; *word != NULL; word++)
    if (strncmp(at, *word, strlen(*word)) == 0) return at += strlen(*word), 1;
  if ((*at != '{' && *at != '[') || depth == DEPTH_MAX) return 0;
  char close = *at == '{' ? '}' : ']';
  at++;
  skip_space();
  if (*at == close) return at++, 1;
  for (;;) {
    if (close == '}') {
      if (*at != '"' || !scan_string(key) || (skip_space(), *at++ != ':')) return 0;
      skip_space();
    }
    const char *value = at;
    if (!scan_value(depth + 1, inner)) return 0;
    if (close == '}' && depth == 0) keep(key, value, inner);
    skip_space();
    if (*at == close) return at++, 1;
    if (*at++ != ',') return 0;
    skip_space();
  }
}

static void read_config(void) {
  for (ssize_t n = 1; n != 0 && config_length <= CONFIG_MAX; config_length += n > 0 ? (size_t)n : 0)
    if ((n = read(0, config + config_length, CONFIG_MAX + 1 - config_length)) < 0 && errno != EINTR)
      fail(IO, "the network configuration cannot be read: %s", strerror(errno));
  if (config_length > CONFIG_MAX) fail(UNDECODABLE, "the network configuration is longer than %d bytes", CONFIG_MAX);
}

static void scan_config(void) {
  char text[TEXT_MAX];
  at = config;
  skip_space();
  char first = *at;
  int valid = scan_value(0, text) && (skip_space(), at == config + config_length);
  if (!valid) fail(UNDECODABLE, "the network configuration on stdin is not JSON");
  if (first != '{') fail(UNDECODABLE, "the network configuration on stdin is not a JSON object");
}

static void put(const char *text, size_t length) {
  if (length > REQUEST_MAX - request_length) fail(UNDECODABLE, "the request is longer than %d bytes", REQUEST_MAX);
  memcpy(request + request_length, text, length);
  request_length += length;
}

static void put_string(const char *text, size_t length) {
  put("\"", 1);
  for (size_t i = 0; i < length; i++) {
    char escaped[8];
    unsigned char c = (unsigned char)text[i];
    if (c == '"' || c == '\\' || c < 0x20) put(escaped, (size_t)sprintf(escaped, "\\u%04x", c));
    else put(text + i, 1);
  }
  put("\"", 1);
}

static void format_request(void) {
  put("{\"protocol\":2,\"env\":{", 21);
  const char *comma = "";
  for (char **entry = environ; *entry != NULL; entry++) {
    const char *equals = strchr(*entry, '=');
    if (strncmp(*entry, "CNI_", 4) != 0 || equals == NULL) continue;
    put(comma, strlen(comma));
    put_string(*entry, (size_t)(equals - *entry));
    put(":", 1);
    put_string(equals + 1, strlen(equals + 1));
    comma = ",";
  }
  put("},\"config\":", 11);
  put_string(config, config_length);
  put("}\n", 2);
}

static int connect_agent(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (*path != '/' || strlen(path) >= sizeof address.sun_path)
    fail(INVALID_CONFIG, "network configuration: socket: expected an absolute path of printable ASCII below 108 bytes");
  strcpy(address.sun_path, path);
  int agent = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (agent < 0) fail(IO, "no socket: %s", strerror(errno));
  if (connect(agent, (struct sockaddr *)&address, sizeof address) == 0) return agent;
  const char *why = errno == ENOENT ? "there is no socket" : errno == ECONNREFUSED ? "nobody listens" : strerror(errno);
  fail(TRY_AGAIN, "the Manx agent of this node is not running: %s at %s", why, path);
}

static int ask(int agent) {
  size_t length = 0;
  char *end = NULL;
  for (size_t sent = 0; sent < request_length;) {
    ssize_t n = send(agent, request + sent, request_length - sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EINTR) break; // it may have answered all the same: the size, the protocol
    sent += n > 0 ? (size_t)n : 0;
  }
  while (end == NULL) {
    ssize_t n = read(agent, answer + length, ANSWER_MAX + 1 - length);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail(TRY_AGAIN, "the agent closed %s without an answer", path);
    end = memchr(answer + length, '\n', (size_t)n);
    length += (size_t)n;
    if (end == NULL && length > ANSWER_MAX) fail(TRY_AGAIN, "the answer of the agent is longer than %d bytes", ANSWER_MAX);
  }
  if ((answer[0] != '0' && answer[0] != '1') || answer[1] != ' ')
    fail(UNDECODABLE, "the answer of the agent has an unknown shape");
  signal(SIGALRM, SIG_IGN);
  if (end > answer + 2) print(answer + 2, (size_t)(end + 1 - (answer + 2)));
  return answer[0] - '0';
}

int main(void) {
  char message[256];
  const char *command = getenv("CNI_COMMAND");
  started = now();
  if (command == NULL || *command == '\0') {
    fputs("Manx CNI plugin. Container runtimes run it; supported CNI versions: 0.3.1, 0.4.0, 1.0.0, 1.1.0\n", stderr);
    fail(INVALID_ENVIRONMENT, "CNI_COMMAND is missing");
  }
  set_deadline("the network configuration on stdin did not end in time");
  read_config();
  int is_version = strcmp(command, "VERSION") == 0;
  if (!is_version || strspn(config, " \t\r\n") != config_length) scan_config();
  if (is_version) {
    int length = snprintf(answer, sizeof answer, "{\"cniVersion\":\"%s\",\"supportedVersions\":" SUPPORTED "}\n", version);
    return print(answer, (size_t)length), 0;
  }
  if (!(timeout_sec > 0 && timeout_sec <= 110))
    fail(INVALID_CONFIG, "network configuration: timeoutSec: expected seconds, more than 0 and at most 110");
  int known = strspn(command, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(command) && strlen(command) < 16;
  snprintf(message, sizeof message, "the agent did not answer %s in time; see /readyz?verbose of the agent on this node",
           known ? command : "the request");
  set_deadline(message);
  format_request();
  return ask(connect_agent());
}
