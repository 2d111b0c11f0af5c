#ifndef VISION_CCURL_SHIM_H
#define VISION_CCURL_SHIM_H
#include <curl/curl.h>

// curl_easy_setopt, curl_easy_getinfo and curl_multi_setopt are variadic, which Swift cannot call:
// one typed function for each kind of argument.

static inline CURLcode vision_curl_set_long(CURL *handle, CURLoption option, long value) {
  return curl_easy_setopt(handle, option, value);
}
static inline CURLcode vision_curl_set_offset(CURL *handle, CURLoption option, curl_off_t value) {
  return curl_easy_setopt(handle, option, value);
}
static inline CURLcode vision_curl_set_string(CURL *handle, CURLoption option, const char *value) {
  return curl_easy_setopt(handle, option, value);
}
static inline CURLcode vision_curl_set_pointer(CURL *handle, CURLoption option, void *value) {
  return curl_easy_setopt(handle, option, value);
}
static inline CURLcode vision_curl_set_list(CURL *handle, CURLoption option, struct curl_slist *value) {
  return curl_easy_setopt(handle, option, value);
}
typedef size_t (*vision_curl_data_callback)(char *, size_t, size_t, void *);
static inline CURLcode vision_curl_set_data_callback(CURL *handle, CURLoption option,
                                                     vision_curl_data_callback value) {
  return curl_easy_setopt(handle, option, value);
}
typedef int (*vision_curl_close_callback)(void *, curl_socket_t);
static inline CURLcode vision_curl_set_close_callback(CURL *handle, vision_curl_close_callback value) {
  return curl_easy_setopt(handle, CURLOPT_CLOSESOCKETFUNCTION, value);
}
typedef curl_socket_t (*vision_curl_open_callback)(void *, curlsocktype, struct curl_sockaddr *);
static inline CURLcode vision_curl_set_open_callback(CURL *handle, vision_curl_open_callback value) {
  return curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, value);
}
static inline CURLcode vision_curl_get_long(CURL *handle, CURLINFO info, long *value) {
  return curl_easy_getinfo(handle, info, value);
}
static inline CURLcode vision_curl_get_pointer(CURL *handle, CURLINFO info, void **value) {
  return curl_easy_getinfo(handle, info, value);
}
static inline CURLcode vision_curl_get_offset(CURL *handle, CURLINFO info, curl_off_t *value) {
  return curl_easy_getinfo(handle, info, value);
}
static inline CURLMcode vision_curl_multi_set_long(CURLM *multi, CURLMoption option, long value) {
  return curl_multi_setopt(multi, option, value);
}
static inline CURLMcode vision_curl_multi_set_pointer(CURLM *multi, CURLMoption option, void *value) {
  return curl_multi_setopt(multi, option, value);
}
typedef int (*vision_curl_socket_callback)(CURL *, curl_socket_t, int, void *, void *);
static inline CURLMcode vision_curl_multi_set_socket_callback(CURLM *multi,
                                                              vision_curl_socket_callback value) {
  return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, value);
}
typedef int (*vision_curl_timer_callback)(CURLM *, long, void *);
static inline CURLMcode vision_curl_multi_set_timer_callback(CURLM *multi, vision_curl_timer_callback value) {
  return curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, value);
}
// CURLMsg holds its result in an unnamed union, which Swift imports awkwardly.
static inline CURLcode vision_curl_message_result(const CURLMsg *message) { return message->data.result; }
// CURLVERSION_NOW is a macro for an enum's value, which Swift does not import.
static inline int vision_curl_resolves_names_in_threads(void) {
  return (curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_ASYNCHDNS) != 0;
}
#endif
