#define _GNU_SOURCE
#include "CShims.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int vision_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int vision_pidfd_open(int pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

// In the child, between fork and exec: nothing here allocates or takes a lock, since the parent's other
// threads, which may hold some, do not exist. Returns only if it fails.
static void become(char *const argv[], char *const envp[], const char *folder, const int fds[3], pid_t parent) {
  setpgid(0, 0);
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return;
  // The parent may have died before the line above.
  if (getppid() != parent) _exit(127);
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);

  // First out of the way of each other, then into place.
  int moved[3];
  for (int i = 0; i < 3; i++) {
    moved[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
    if (moved[i] < 0) return;
  }
  for (int i = 0; i < 3; i++) {
    if (dup2(moved[i], i) < 0) return;
  }
  // Libraries open descriptors without O_CLOEXEC. Where the kernel is older than 5.11 those leak.
  syscall(SYS_close_range, 3, UINT_MAX, 4 /* CLOSE_RANGE_CLOEXEC */);
  if (folder && chdir(folder) != 0) return;

  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execvpe(argv[0], argv, envp);
}

int vision_spawn(char *const argv[], char *const envp[], const char *folder, const int fds[3]) {
  // Closed by a successful exec; otherwise the child writes why there was none.
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return -errno;
  // No handler of the parent may run in the child.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t parent = getpid();
  pid_t pid = fork();
  int error = pid < 0 ? errno : 0;
  if (pid == 0) {
    become(argv, envp, folder, fds, parent);
    error = errno;
    while (write(report[1], &error, sizeof error) < 0 && errno == EINTR) {}
    _exit(127);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  close(report[1]);
  if (pid > 0) {
    ssize_t count;
    while ((count = read(report[0], &error, sizeof error)) < 0 && errno == EINTR) {}
    if (count == sizeof error) {
      while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
    } else {
      error = 0;
    }
  }
  close(report[0]);
  return error ? -error : pid;
}
