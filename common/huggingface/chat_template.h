// Chat templates (Jinja), rendered as transformers' apply_chat_template does it: lines lose a block's own white space,
// `raise_exception`, `strftime_now`, Python's methods, printing and `tojson`, loop controls, `{% generation %}`.
//
// A template is not trusted. It has no way to files, the network or the environment; its work, its memory, its time and
// the depth of what it builds are bounded, and what it does wrong becomes one line with its line number. One that is
// stopped for its memory or time keeps them until the process ends.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace equipoise {

// What a template is given. Texts are JSON: lists of messages {"role": ..., "content": ...}, of which a field that is
// null counts as absent; a list of tools; an object of further variables. Empty: none.
struct Chat {
  std::string_view messages;
  std::string_view more_messages = {};  // after `messages`
  std::string_view tools = {};
  std::string_view variables = {};
  bool add_generation_prompt = false;
};

// A chat that the template refuses, or that it cannot be rendered for. `what()` is one line, without a file's name.
class ChatRefused : public std::invalid_argument {
 public:
  ChatRefused(std::size_t chat, const std::string& what) : std::invalid_argument(what), chat_(chat) {}
  std::size_t chat() const { return chat_; }  // its place

 private:
  std::size_t chat_;
};

class ChatTemplate {
 public:
  struct Source {
    std::string name;            // of the file, for messages
    std::string text;            // at most 256 KiB
    std::string variables = {};  // JSON object that every chat has: bos_token, eos_token, ...
  };
  // `now` is what strftime_now shows, in local time.
  // Throws std::invalid_argument "NAME: line N: ..." for a template with a fault.
  ChatTemplate(const Source& source, std::chrono::sys_seconds now);
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // The text of every chat, in order, rendered by `threads` threads at once. Throws ChatRefused. Safe to call from
  // several threads. Threads are started for each call: prefer one call for many chats.
  std::vector<std::string> render(std::span<const Chat> chats, int threads) const;
  std::string render(const Chat& chat) const { return std::move(render({&chat, 1}, 1).front()); }

 private:
  struct Deleter {
    void operator()(void* handle) const;
  };
  std::unique_ptr<void, Deleter> handle_;
};

}  // namespace equipoise
