#ifndef VISION_CSHIMS_H
#define VISION_CSHIMS_H
// What Swift's Glibc module leaves out.
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

// In optimised builds curl's module owns the header that defines SOCK_STREAM, and Glibc's lacks it.
static const int vision_stream_socket = SOCK_STREAM;
static const int vision_loop_socket = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

// The kernel's epoll_event is packed and carries a union: read and written here.
static inline int vision_epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t data) {
  struct epoll_event event = {.events = events, .data = {.u64 = data}};
  return epoll_ctl(epoll, operation, fd, &event);
}
static inline uint64_t vision_epoll_data(const struct epoll_event *event) { return event->data.u64; }

// Starts a program: argv and envp end with NULL, folder may be NULL, fds become its 0, 1 and 2. Returns its
// process id, or -errno if it could not be started. The child leads a process group of its own, is killed
// when the calling thread's process dies (posix_spawn has no way to say so), has every signal at its default
// and unblocked, and inherits no other descriptor.
int vision_spawn(char *const argv[], char *const envp[], const char *folder, const int fds[3]);

// Both ends of a pipe that programs started elsewhere do not inherit; 0, or -1 with errno.
int vision_pipe(int ends[2]);

// A descriptor that becomes readable when the process has ended, or -1 with errno.
int vision_pidfd_open(int pid);
#endif
