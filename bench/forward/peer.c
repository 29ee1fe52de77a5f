/*
 * Backends and load generators for the forwarding bench, in C so that the proxy between them is the bottleneck.
 *
 *   peer serve ECHO_PORT ONCE_PORT SOURCE_PORT   one process, one thread:
 *        echo: sends back what it gets    once: sends back the first bytes, then closes    source: sends for ever
 *   peer load bulk|kept|connect PORT CONNECTIONS SECONDS   prints one number
 *        bulk: bytes received from a source            kept: round trips of 128 bytes on kept-alive connections
 *        connect: connections opened, one round trip of 128 bytes each, closed by the server
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE = 128, CHUNK = 256 * 1024, EVENTS = 256 };
enum kind { LISTEN_ECHO, LISTEN_ONCE, LISTEN_SOURCE, ECHO, ONCE, SOURCE };

static char chunk[CHUNK];
static int poller;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static struct sockaddr_in loopback(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

static void watch(int fd, int kind, uint32_t events) {
  struct epoll_event event = {.events = events, .data.u64 = ((uint64_t)kind << 32) | (uint32_t)fd};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
}

static void listen_on(int port, int kind) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  struct sockaddr_in address = loopback(port);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
  if (listen(fd, 4096) < 0) die("listen");
  watch(fd, kind, EPOLLIN);
}

static void accept_all(int listener, int kind) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), on = 1;
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(fd, kind, kind == SOURCE ? EPOLLOUT : EPOLLIN);
  }
}

static void serve_one(int fd, int kind) {
  if (kind == SOURCE) {
    ssize_t sent;
    for (int i = 0; i < 8 && (sent = write(fd, chunk, CHUNK)) == CHUNK; i++) {
    }
    if (sent < 0 && errno != EAGAIN) close(fd);
    return;
  }
  ssize_t got = read(fd, chunk, 64 * 1024);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0 || write(fd, chunk, got) != got || kind == ONCE) close(fd);
}

static void serve(char **ports) {
  struct epoll_event events[EVENTS];
  for (int kind = LISTEN_ECHO; kind <= LISTEN_SOURCE; kind++) listen_on(atoi(ports[kind]), kind);
  printf("ready\n");
  fflush(stdout);
  for (;;) {
    int count = epoll_wait(poller, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      int fd = (uint32_t)events[i].data.u64, kind = events[i].data.u64 >> 32;
      if (kind <= LISTEN_SOURCE)
        accept_all(fd, kind + ECHO);
      else
        serve_one(fd, kind);
    }
  }
}

static void open_one(int port, char mode) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  struct sockaddr_in address = loopback(port);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) die("connect");
  fcntl(fd, F_SETFL, O_NONBLOCK);
  if (mode != 'b' && write(fd, chunk, MESSAGE) != MESSAGE) die("first message");
  watch(fd, 0, EPOLLIN);
}

/* How many units one readable connection has earned; -1: it ended and the caller may open another. */
static int64_t load_one(int fd, char mode) {
  ssize_t got;
  if (mode == 'b') {
    /* MSG_TRUNC throws received bytes away inside the kernel: the generator costs no copy. */
    got = recv(fd, NULL, 16 * CHUNK, MSG_TRUNC);
    if (got == 0 || (got < 0 && errno != EAGAIN)) die("bulk: connection ended");
    return got > 0 ? got : 0;
  }
  got = read(fd, chunk, CHUNK);
  if (got < 0 && errno == EAGAIN) return 0;
  if (mode == 'k') {
    if (got != MESSAGE || write(fd, chunk, MESSAGE) != MESSAGE) die("kept: short message");
    return 1;
  }
  if (got == MESSAGE) return 0;
  if (got != 0) die("connect: connection failed");
  close(fd);
  return -1;
}

static void load(char mode, int port, int connections, double seconds) {
  struct epoll_event events[EVENTS];
  int64_t total = 0;
  for (int i = 0; i < connections; i++) open_one(port, mode);
  double end = now() + seconds, begin = now();
  while (now() < end) {
    int count = epoll_wait(poller, events, EVENTS, 100);
    for (int i = 0; i < count; i++) {
      int64_t earned = load_one((uint32_t)events[i].data.u64, mode);
      total += earned < 0 ? 1 : earned;
      if (earned < 0) open_one(port, mode);
    }
  }
  printf("%.0f\n", total / (now() - begin));
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  poller = epoll_create1(0);
  if (argc == 5 && strcmp(argv[1], "serve") == 0) serve(argv + 2);
  if (argc == 6 && strcmp(argv[1], "load") == 0)
    load(argv[2][0], atoi(argv[3]), atoi(argv[4]), atof(argv[5]));
  else
    fprintf(stderr, "usage: peer serve ECHO ONCE SOURCE | peer load bulk|kept|connect PORT CONNECTIONS SECONDS\n");
  return 0;
}
