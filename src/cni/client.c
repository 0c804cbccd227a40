// The CNI plugin in C: the same client as main.ts, in under a millisecond instead of the 25 that Node.js takes to start.
//
// One request to the agent, one answer to stdout (wire.ts has the messages). It judges nothing but what it needs itself: the
// configuration is JSON, `socket`, `timeoutSec`, and `cniVersion` to answer errors in. Static buffers, no heap, no shell.
// It always ends: SIGALRM covers stdin, connection and answer, and says so with CNI error 11 (try again later).
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONFIG_MAX = 256 * 1024, REQUEST_MAX = 1024 * 1024, ANSWER_MAX = 64 * 1024, DEPTH_MAX = 100, TEXT_MAX = 128, STDIN_SEC = 30 };
enum { INVALID_ENVIRONMENT = 4, UNDECODABLE = 6, INVALID_CONFIG = 7, TRY_AGAIN = 11 };
extern char **environ;
static char config[CONFIG_MAX + 2], request[REQUEST_MAX], answer[ANSWER_MAX + 1], late[512];
static char version[TEXT_MAX] = "1.1.0", path[TEXT_MAX] = "/run/manx/cni.sock";
static size_t config_length, request_length;
static double timeout_sec = 30;

// No message holds a quote or a backslash: texts with one are not used.
#define ERROR "{\"cniVersion\":\"%s\",\"code\":%d,\"msg\":\"%s\"}\n"

static _Noreturn void fail(int code, const char *format, ...) {
  char message[384];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  signal(SIGALRM, SIG_IGN);
  printf(ERROR, version, code, message);
  exit(1);
}

static void on_alarm(int signal) {
  (void)signal;
  _exit(write(1, late, strlen(late)) < 0 ? 2 : 1);
}

// Ends the program with `message` when the answer is not there in time.
static void set_deadline(double left_sec, const char *message) {
  if (left_sec < 0.001) left_sec = 0.001;
  time_t whole = (time_t)left_sec;
  struct itimerval timer = {.it_value = {whole, (suseconds_t)((left_sec - (double)whole) * 1e6)}};
  snprintf(late, sizeof late, ERROR, version, TRY_AGAIN, message);
  signal(SIGALRM, on_alarm);
  setitimer(ITIMER_REAL, &timer, NULL);
}

static double elapsed_sec(void) {
  struct itimerval timer;
  getitimer(ITIMER_REAL, &timer);
  return STDIN_SEC - (double)timer.it_value.tv_sec - (double)timer.it_value.tv_usec / 1e6;
}

static const char *space(const char *s) { return s + strspn(s, " \t\r\n"); }

static const char *skip_string(const char *s) {
  for (s++; *s != '"'; s++)
    if ((unsigned char)*s < 0x20 || (*s == '\\' && *++s == '\0')) return NULL;
  return s + 1;
}

// The text of a string of printable ASCII without escapes, else nothing.
static void copy_text(char out[TEXT_MAX], const char *value, const char *end) {
  size_t length = *value == '"' ? (size_t)(end - value) - 2 : 0;
  for (size_t i = 1; i <= length; i++)
    if (length >= TEXT_MAX || value[i] < 0x20 || value[i] > 0x7e || value[i] == '\\') length = 0;
  memcpy(out, value + 1, length);
  out[length] = '\0';
}

static void keep(const char *key, const char *value, const char *end) {
  char text[TEXT_MAX];
  if (strncmp(key, "\"socket\"", 8) == 0) copy_text(path, value, end);
  if (strncmp(key, "\"timeoutSec\"", 12) == 0) timeout_sec = *value == '"' ? 0 : strtod(value, NULL);
  if (strncmp(key, "\"cniVersion\"", 12) != 0) return;
  copy_text(text, value, end);
  if (*text != '\0' && text[strspn(text, "0123456789.")] == '\0') strcpy(version, text);
}

// The end of the JSON value at `s`, NULL where it is none. Scalars are judged by the agent; members of the outermost object are kept.
static const char *scan(const char *s, int depth) {
  if (*s == '"') return skip_string(s);
  if (*s != '{' && *s != '[') {
    size_t length = strspn(s, "+-.0123456789Eabcdefghijklmnopqrstuvwxyz");
    return length > 0 ? s + length : NULL;
  }
  char close = *s == '{' ? '}' : ']';
  if (depth == DEPTH_MAX) return NULL;
  if (*(s = space(s + 1)) == close) return s + 1;
  for (;; s = space(s + 1)) {
    const char *key = s;
    if (close == '}' && (*s != '"' || (s = skip_string(s)) == NULL || *(s = space(s)) != ':')) return NULL;
    const char *value = s = close == '}' ? space(s + 1) : s;
    if ((s = scan(s, depth + 1)) == NULL) return NULL;
    if (close == '}' && depth == 0) keep(key, value, s);
    if (*(s = space(s)) == close) return s + 1;
    if (*s != ',') return NULL;
  }
}

static void read_config(int may_be_empty) {
  config_length = fread(config, 1, CONFIG_MAX + 1, stdin);
  if (config_length > CONFIG_MAX) fail(UNDECODABLE, "the network configuration is longer than %d bytes", CONFIG_MAX);
  if (may_be_empty && *space(config) == '\0') return;
  const char *first = space(config), *end = scan(first, 0);
  if (end == NULL || space(end) != config + config_length)
    fail(UNDECODABLE, "the network configuration on stdin is not JSON");
  if (*first != '{') fail(UNDECODABLE, "the network configuration on stdin is not a JSON object");
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
  put("{\"protocol\":2,\"env\":{", sizeof "{\"protocol\":2,\"env\":{" - 1);
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
  int agent = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(agent, (struct sockaddr *)&address, sizeof address) == 0) return agent;
  const char *why = errno == ENOENT ? "there is no socket" : errno == ECONNREFUSED ? "nobody listens" : strerror(errno);
  fail(TRY_AGAIN, "the Manx agent of this node is not running: %s at %s", why, path);
}

static int ask(int agent) {
  size_t length = 0;
  char *end = NULL;
  ssize_t n = 1;
  for (size_t sent = 0; sent < request_length && n > 0; sent += (size_t)n)
    n = send(agent, request + sent, request_length - sent, MSG_NOSIGNAL);
  // Where not all was taken, there may be an answer all the same.
  while (end == NULL) {
    n = read(agent, answer + length, ANSWER_MAX + 1 - length);
    if (n <= 0) fail(TRY_AGAIN, "the agent closed %s without an answer", path);
    end = memchr(answer + length, '\n', (size_t)n);
    length += (size_t)n;
    if (end == NULL && length > ANSWER_MAX) fail(TRY_AGAIN, "the answer of the agent is longer than %d bytes", ANSWER_MAX);
  }
  if ((answer[0] != '0' && answer[0] != '1') || answer[1] != ' ')
    fail(UNDECODABLE, "the answer of the agent has an unknown shape");
  signal(SIGALRM, SIG_IGN);
  if (end > answer + 2) fwrite(answer + 2, 1, (size_t)(end - answer) - 1, stdout);
  return answer[0] - '0';
}

int main(void) {
  const char *command = getenv("CNI_COMMAND");
  if (command == NULL || *command == '\0')
    fail(INVALID_ENVIRONMENT, "CNI_COMMAND is missing: container runtimes run this plugin");
  set_deadline(STDIN_SEC, "the network configuration on stdin did not end in time");
  int is_version = strcmp(command, "VERSION") == 0;
  read_config(is_version);
  if (is_version) {
    printf("{\"cniVersion\":\"%s\",\"supportedVersions\":[\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n", version);
    return 0;
  }
  if (!(timeout_sec > 0 && timeout_sec <= 110))
    fail(INVALID_CONFIG, "network configuration: timeoutSec: expected seconds, more than 0 and at most 110");
  set_deadline(timeout_sec - elapsed_sec(),
               "the agent did not answer in time; see /readyz?verbose of the agent on this node");
  format_request();
  return ask(connect_agent());
}
