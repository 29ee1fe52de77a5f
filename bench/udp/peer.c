/*
 * The two ends of the bench of UDP, on loopback.
 *
 *   peer echo PORT                                   answers every datagram with itself
 *   peer load PORT SECONDS FLOWS SIZE WINDOW         keeps WINDOW datagrams of each flow under way; prints answers/s
 *   peer pace PORT SECONDS FLOWS SIZE RATE           sends RATE datagrams/s; prints how many were sent and answered
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_FLOWS = 1024, BATCH = 64, MOST_BYTES = 2048, BUFFER_BYTES = 4 << 20 };

static char memory[BATCH][MOST_BYTES];
static struct iovec vectors[BATCH];
static struct sockaddr_in names[BATCH];
static struct mmsghdr messages[BATCH];

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static struct sockaddr_in loopback(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

static int open_socket(void) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), bytes = BUFFER_BYTES;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  return fd;
}

static void prepare(int with_names) {
  for (int i = 0; i < BATCH; i++) {
    vectors[i] = (struct iovec){memory[i], MOST_BYTES};
    messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
    if (with_names) {
      messages[i].msg_hdr.msg_name = &names[i];
      messages[i].msg_hdr.msg_namelen = sizeof names[i];
    }
  }
}

static int echo(int port) {
  int fd = open_socket();
  struct sockaddr_in address = loopback(port);
  if (bind(fd, (void *)&address, sizeof address) != 0) return perror("bind"), 1;
  puts("ready");
  fflush(stdout);
  for (struct pollfd ready = {fd, POLLIN, 0}; poll(&ready, 1, -1) >= 0;) {
    prepare(1);
    int count = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++) vectors[i].iov_len = messages[i].msg_len;
    for (int sent = 0; sent < count;) {
      int more = sendmmsg(fd, messages + sent, count - sent, 0);
      sent += more > 0 ? more : 1;
    }
  }
  return 1;
}

static struct pollfd flows[MOST_FLOWS];

static void open_flows(int port, int count) {
  struct sockaddr_in address = loopback(port);
  for (int i = 0; i < count; i++) {
    flows[i] = (struct pollfd){open_socket(), POLLIN, 0};
    connect(flows[i].fd, (void *)&address, sizeof address);
  }
}

static void send_some(int fd, int count, int size) {
  for (; count > 0; count -= BATCH) {
    prepare(0);
    int now_many = count < BATCH ? count : BATCH;
    for (int i = 0; i < now_many; i++) vectors[i].iov_len = size;
    sendmmsg(fd, messages, now_many, 0);
  }
}

/* How many answers are there. */
static int take_all(int fd) {
  for (int taken = 0;;) {
    prepare(0);
    int count = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
    if (count <= 0) return taken;
    taken += count;
    if (count < BATCH) return taken;
  }
}

static int load(double seconds, int count, int size, int window) {
  for (int i = 0; i < count; i++) send_some(flows[i].fd, window, size);
  long answers = 0;
  double begun = now(), elapsed = 0;
  while ((elapsed = now() - begun) < seconds) {
    if (poll(flows, count, 50) == 0) {
      /* All are lost: begin again. */
      for (int i = 0; i < count; i++) send_some(flows[i].fd, window, size);
      continue;
    }
    for (int i = 0; i < count; i++) {
      if (!(flows[i].revents & POLLIN)) continue;
      int taken = take_all(flows[i].fd);
      answers += taken;
      send_some(flows[i].fd, taken, size);
    }
  }
  printf("%.0f\n", answers / elapsed);
  return 0;
}

static int pace(double seconds, int count, int size, double rate) {
  long sent = 0, answers = 0;
  double begun = now(), elapsed = 0;
  for (int next = 0; (elapsed = now() - begun) < seconds;) {
    for (long due = elapsed * rate - sent; due > 0; due -= 8, sent += 8, next = (next + 1) % count) {
      send_some(flows[next].fd, 8, size);
    }
    poll(flows, count, 1);
    for (int i = 0; i < count; i++) if (flows[i].revents & POLLIN) answers += take_all(flows[i].fd);
  }
  /* What is still under way. */
  for (int idle = 0; idle < 10; idle++) {
    if (poll(flows, count, 20) > 0) idle = 0;
    for (int i = 0; i < count; i++) if (flows[i].revents & POLLIN) answers += take_all(flows[i].fd);
  }
  printf("%ld %ld\n", sent, answers);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "echo") == 0) return echo(atoi(argv[2]));
  if (argc != 7) return fprintf(stderr, "see the top of peer.c\n"), 2;
  int count = atoi(argv[4]), size = atoi(argv[5]);
  if (count > MOST_FLOWS || size > MOST_BYTES) return fprintf(stderr, "too many flows, or too large\n"), 2;
  open_flows(atoi(argv[2]), count);
  double seconds = atof(argv[3]);
  return strcmp(argv[1], "load") == 0 ? load(seconds, count, size, atoi(argv[6]))
                                      : pace(seconds, count, size, atof(argv[6]));
}
