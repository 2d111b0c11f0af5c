// Another date for a program, without anything of it being changed: preloaded (LD_PRELOAD), this library moves
// CLOCK_REALTIME by the milliseconds that stand, as one long, in the file named by CHAOS_CLOCK_FILE. The file
// is mapped, so that whoever writes to it moves a running program's clock. The monotonic clock stays as it is.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile long *shift_ms;

__attribute__((constructor)) static void map_shift(void) {
  const char *path = getenv("CHAOS_CLOCK_FILE");
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void *mapped = mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped != MAP_FAILED) shift_ms = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  int result = (int)syscall(SYS_clock_gettime, clock, time);
  if (result == 0 && shift_ms && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    long milliseconds = time->tv_nsec / 1000000 + *shift_ms;
    long seconds = milliseconds / 1000;
    milliseconds %= 1000;
    if (milliseconds < 0) {
      milliseconds += 1000;
      seconds -= 1;
    }
    time->tv_sec += seconds;
    time->tv_nsec = milliseconds * 1000000 + time->tv_nsec % 1000000;
  }
  return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  (void)zone;
  struct timespec now;
  int result = clock_gettime(CLOCK_REALTIME, &now);
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return result;
}

time_t time(time_t *seconds) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (seconds) *seconds = now.tv_sec;
  return now.tv_sec;
}
