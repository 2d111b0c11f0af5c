// The I/O of a worker and nothing else, to show what libcurl, hiredis, the kernel and Redis cost by themselves: no
// leases, no check of what comes, no request building, no records.
//
//   vision-bare relay URL SOCKET COUNT   COUNT open streams; each piece of a body becomes an entry of its stream in Redis
//   vision-bare post URL SOCKET COUNT    COUNT POSTs under way; each answer becomes an entry of one stream, and the next
//                                        ones begin with what the same call brings from a list
//
// The key `bare:done` counts the entries. Runs until it is killed.
#include <curl/curl.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum { EVENTS_MAX = 256, PIECES_MAX = 200, PENDING_MAX = 64 << 20 };

struct transfer {
  CURL *easy;
  int index;
};

static const char *RELAY =
    "for at = 2, #ARGV, 2 do redis.call('XADD', ARGV[at], '*', 'data', ARGV[at + 1]) end "
    "redis.call('INCRBY', 'bare:done', ARGV[1]) return 0";
static const char *POST =
    "for at = 2, #ARGV, 2 do redis.call('XADD', ARGV[at], 'MAXLEN', '~', '10000', '*', 'entry', ARGV[at + 1]) end "
    "redis.call('INCRBY', 'bare:done', ARGV[1]) return redis.call('LRANGE', 'bare:jobs', 0, ARGV[1] - 1)";
static const char *BODY =
    "{\"model\":\"bench\",\"messages\":[{\"role\":\"user\",\"content\":\"How are you?\"}],\"stream\":true,"
    "\"max_tokens\":500,\"temperature\":0.5,\"seed\":1,\"logprobs\":true}";

static CURLM *multi;
// Where all requests go, read once, as the worker does it.
static CURLU *target;
static redisContext *redis;
static int loop, is_relay, is_redis_watched, calls, pieces;
static long timeout = -1;
static char digest[41];
static struct transfer **ended;
static int ended_count;
// Arguments of the next call, as RESP.
static char *pending;
static size_t pending_size, pending_room;

static void fail(const char *what, const char *why) {
  fprintf(stderr, "vision-bare: %s: %s\n", what, why);
  exit(1);
}

static void *grow(void *memory, size_t size) {
  void *result = size > PENDING_MAX ? NULL : realloc(memory, size);
  if (!result) fail("memory", "none is left, or Redis is too slow");
  return result;
}

static void add(const char *bytes, size_t size) {
  if (pending_size + size > pending_room) {
    pending_room = (pending_size + size) * 2;
    pending = grow(pending, pending_room);
  }
  memcpy(pending + pending_size, bytes, size);
  pending_size += size;
}

static void add_argument(const char *bytes, size_t size) {
  char head[32];
  add(head, snprintf(head, sizeof head, "$%zu\r\n", size));
  add(bytes, size);
  add("\r\n", 2);
}

static void add_piece(int index, const char *bytes, size_t size) {
  char key[32];
  int length = is_relay ? snprintf(key, sizeof key, "bare:reply:%d", index) : snprintf(key, sizeof key, "bare:ledger");
  add_argument(key, length);
  add_argument(bytes, size);
  pieces++;
}

static void watch_redis(int writes) {
  struct epoll_event event = {.events = EPOLLIN | (writes ? EPOLLOUT : 0), .data.fd = redis->fd};
  if (is_redis_watched && (is_redis_watched == 2) == writes) return;
  epoll_ctl(loop, is_redis_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, redis->fd, &event);
  is_redis_watched = writes ? 2 : 1;
}

static void write_redis(void) {
  int is_done = 0;
  if (redisBufferWrite(redis, &is_done) != REDIS_OK) fail("Redis", redis->errstr);
  watch_redis(!is_done);
}

// One call is on its way at a time, and takes along all that came meanwhile.
static void flush_pieces(void) {
  if (!pieces || calls) return;
  char head[160], count[16];
  int count_size = snprintf(count, sizeof count, "%d", pieces);
  int size = snprintf(head, sizeof head, "*%d\r\n$7\r\nEVALSHA\r\n$40\r\n%s\r\n$1\r\n0\r\n$%d\r\n%s\r\n", 4 + 2 * pieces, digest,
                      count_size, count);
  char *whole = grow(NULL, size + pending_size);
  memcpy(whole, head, size);
  memcpy(whole + size, pending, pending_size);
  redisAppendFormattedCommand(redis, whole, size + pending_size);
  free(whole);
  pending_size = 0;
  pieces = 0;
  calls++;
  write_redis();
}

static size_t receive(char *bytes, size_t size, size_t count, void *context) {
  struct transfer *transfer = context;
  if (is_relay) add_piece(transfer->index, bytes, size * count);
  return size * count;
}

static void begin(struct transfer *transfer) { curl_multi_add_handle(multi, transfer->easy); }

static void read_redis(void) {
  if (redisBufferRead(redis) != REDIS_OK) fail("Redis", redis->errstr);
  redisReply *reply = NULL;
  while (redisGetReplyFromReader(redis, (void **)&reply) == REDIS_OK && reply) {
    if (reply->type == REDIS_REPLY_ERROR) fail("Redis", reply->str);
    calls--;
    // As many jobs as were ended.
    for (size_t job = 0; job < reply->elements && ended_count; job++) begin(ended[--ended_count]);
    freeReplyObject(reply);
    reply = NULL;
  }
}

static int socket_changed(CURL *easy, curl_socket_t fd, int what, void *context, void *known) {
  (void)easy, (void)context;
  struct epoll_event event = {.events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0),
                              .data.fd = fd};
  if (what == CURL_POLL_REMOVE) {
    epoll_ctl(loop, EPOLL_CTL_DEL, fd, NULL);
  } else if (epoll_ctl(loop, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) == 0) {
    curl_multi_assign(multi, fd, &loop);
  }
  return 0;
}

static int timer_changed(CURLM *handle, long milliseconds, void *context) {
  (void)handle, (void)context;
  timeout = milliseconds;
  return 0;
}

static void collect(void) {
  int left;
  CURLMsg *message;
  while ((message = curl_multi_info_read(multi, &left))) {
    if (message->msg != CURLMSG_DONE) continue;
    if (message->data.result != CURLE_OK) fail("the server", curl_easy_strerror(message->data.result));
    struct transfer *transfer;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
    curl_multi_remove_handle(multi, transfer->easy);
    if (is_relay) fail("the server", "a stream ended");
    add_piece(transfer->index, "status 200 first_ms 1 total_ms 2", 32);
    ended[ended_count++] = transfer;
  }
}

static struct transfer *make(int index, struct curl_slist *headers) {
  struct transfer *transfer = grow(NULL, sizeof *transfer);
  transfer->easy = curl_easy_init();
  transfer->index = index;
  curl_easy_setopt(transfer->easy, CURLOPT_CURLU, target);
  curl_easy_setopt(transfer->easy, CURLOPT_BUFFERSIZE, 2048L);
  curl_easy_setopt(transfer->easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(transfer->easy, CURLOPT_PROXY, "");
  curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS, BODY);
  curl_easy_setopt(transfer->easy, CURLOPT_WRITEFUNCTION, receive);
  curl_easy_setopt(transfer->easy, CURLOPT_WRITEDATA, transfer);
  curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
  return transfer;
}

static void connect_redis(const char *path) {
  redis = redisConnectUnix(path);
  if (!redis || redis->err) fail("Redis", redis ? redis->errstr : "no memory");
  redisReply *reply = redisCommand(redis, "SCRIPT LOAD %s", is_relay ? RELAY : POST);
  if (!reply || reply->type != REDIS_REPLY_STRING || reply->len != 40) fail("Redis", "the script is refused");
  memcpy(digest, reply->str, 40);
  freeReplyObject(reply);
  freeReplyObject(redisCommand(redis, "DEL bare:jobs bare:done"));
  for (int job = 0; job < PIECES_MAX; job++) freeReplyObject(redisCommand(redis, "RPUSH bare:jobs s:%d:bench:0:%d", 1, job));
  redis->flags &= ~REDIS_BLOCK;
  watch_redis(0);
}

static void run(void) {
  struct epoll_event events[EVENTS_MAX];
  int running;
  for (;;) {
    int count = epoll_wait(loop, events, EVENTS_MAX, (int)timeout);
    if (count == 0) {
      timeout = -1;
      curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    for (int at = 0; at < count; at++) {
      if (events[at].data.fd == redis->fd) {
        if (events[at].events & EPOLLOUT) write_redis();
        if (events[at].events & EPOLLIN) read_redis();
        continue;
      }
      int mask = (events[at].events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events[at].events & EPOLLOUT ? CURL_CSELECT_OUT : 0);
      if (events[at].events & (EPOLLERR | EPOLLHUP)) mask |= CURL_CSELECT_ERR;
      curl_multi_socket_action(multi, events[at].data.fd, mask, &running);
    }
    collect();
    flush_pieces();
  }
}

int main(int argc, char **argv) {
  if (argc != 5 || (strcmp(argv[1], "relay") && strcmp(argv[1], "post")) || atoi(argv[4]) < 1) {
    fprintf(stderr, "usage: vision-bare relay|post URL SOCKET COUNT\n");
    return 2;
  }
  is_relay = !strcmp(argv[1], "relay");
  int count = atoi(argv[4]);
  loop = epoll_create1(EPOLL_CLOEXEC);
  multi = curl_multi_init();
  target = curl_url();
  if (curl_url_set(target, CURLUPART_URL, argv[2], 0) != CURLUE_OK) fail("the URL", "is none");
  curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, socket_changed);
  curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, timer_changed);
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)count);
  connect_redis(argv[3]);
  struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
  headers = curl_slist_append(headers, "Expect:");
  ended = grow(NULL, count * sizeof *ended);
  for (int index = 0; index < count; index++) begin(make(index, headers));
  run();
}
