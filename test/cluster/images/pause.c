/*
 * Does nothing, for as long as it is let: the process that holds a pod's namespaces open, and the first
 * process of a node of the test cluster. Whatever is orphaned below it is reaped.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void stop(int signal) { _exit(signal == SIGTERM || signal == SIGINT ? 0 : 1); }

static void reap(int signal) {
  (void)signal;
  while (waitpid(-1, 0, WNOHANG) > 0) {
  }
}

int main(void) {
  struct sigaction stopping = {.sa_handler = stop};
  struct sigaction reaping = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};
  sigaction(SIGTERM, &stopping, 0);
  sigaction(SIGINT, &stopping, 0);
  sigaction(SIGCHLD, &reaping, 0);
  for (;;) pause();
}
