#ifndef VISION_CSHIMS_H
#define VISION_CSHIMS_H
// What Swift's Glibc module leaves out.
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

// The kernel's epoll_event is packed and carries a union: read and written here.
static inline int vision_epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t data) {
  struct epoll_event event = {.events = events, .data = {.u64 = data}};
  return epoll_ctl(epoll, operation, fd, &event);
}
static inline uint64_t vision_epoll_data(const struct epoll_event *event) { return event->data.u64; }

// prctl is variadic. A child that dies with its parent cannot be left behind.
static inline int vision_die_with_parent(int signal_number) { return prctl(PR_SET_PDEATHSIG, signal_number); }
#endif
