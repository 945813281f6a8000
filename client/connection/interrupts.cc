#include "client/connection/interrupts.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "common/base/error.h"

namespace equipoise {
namespace {

// As nohup leaves SIGHUP. A signal that is blocked arrives at a signalfd all the same.
bool is_ignored(int signal) {
  struct sigaction now {};
  return ::sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

}  // namespace

Interrupts::Interrupts(std::function<void(int)> on_signal) : on_signal_(std::move(on_signal)) {
  sigset_t caught;
  sigemptyset(&caught);
  for (const int signal : {SIGINT, SIGTERM}) sigaddset(&caught, signal);
  if (!is_ignored(SIGHUP)) sigaddset(&caught, SIGHUP);
  EQUIPOISE_CHECK(pthread_sigmask(SIG_BLOCK, &caught, &previous_mask_) == 0);
  stop_event_ = eventfd(0, EFD_CLOEXEC);
  signal_events_ = signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK);
  EQUIPOISE_CHECK(stop_event_ >= 0 && signal_events_ >= 0);
  listener_ = std::thread([this] { listen(); });
}

Interrupts::~Interrupts() {
  const std::uint64_t one = 1;
  EQUIPOISE_CHECK(write(stop_event_, &one, sizeof one) == sizeof one);
  listener_.join();
  close(signal_events_);
  close(stop_event_);
  pthread_sigmask(SIG_SETMASK, &previous_mask_, nullptr);
}

void Interrupts::listen() {
  pollfd waited[] = {{stop_event_, POLLIN, 0}, {signal_events_, POLLIN, 0}};
  while (true) {
    if (poll(waited, 2, -1) < 0) continue;
    if ((waited[0].revents & POLLIN) != 0) return;
    signalfd_siginfo signal;
    if (read(signal_events_, &signal, sizeof signal) == sizeof signal) on_signal_(static_cast<int>(signal.ssi_signo));
  }
}

}  // namespace equipoise
