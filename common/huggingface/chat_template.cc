#include "common/huggingface/chat_template.h"

#include "common/huggingface/rust_bridge.h"
#include "common/huggingface/rust_values.h"

namespace equipoise {
namespace {

eqhf_chat lend_chat(const Chat& chat) {
  return {.messages = lend(chat.messages),
          .more_messages = lend(chat.more_messages),
          .tools = lend(chat.tools),
          .variables = lend(chat.variables),
          .add_generation_prompt = chat.add_generation_prompt ? 1 : 0};
}

void* read_template(const ChatTemplate::Source& source, std::chrono::sys_seconds now) {
  eqhf_chat_template* handle = nullptr;
  throw_if_failed(eqhf_chat_template_new(lend(source.text), lend(source.variables),
                                         static_cast<std::int64_t>(now.time_since_epoch().count()), &handle),
                  source.name + ": ");
  return handle;
}

}  // namespace

ChatTemplate::ChatTemplate(const Source& source, std::chrono::sys_seconds now) : handle_(read_template(source, now)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

void ChatTemplate::Deleter::operator()(void* handle) const {
  eqhf_chat_template_free(static_cast<eqhf_chat_template*>(handle));
}

std::vector<std::string> ChatTemplate::render(std::span<const Chat> chats, int threads) const {
  if (threads < 1) throw std::invalid_argument("threads is " + std::to_string(threads) + ", expected at least 1");
  std::vector<eqhf_chat> lent;
  lent.reserve(chats.size());
  for (const Chat& chat : chats) lent.push_back(lend_chat(chat));
  std::vector<eqhf_string> texts(chats.size());
  std::size_t failed = 0;
  const OwnedText failure(eqhf_chat_template_render(static_cast<const eqhf_chat_template*>(handle_.get()), lent.data(),
                                                    lent.size(), static_cast<std::size_t>(threads), texts.data(),
                                                    &failed));
  if (!failure.is_none()) throw ChatRefused(failed, std::string(failure.view()));
  std::vector<std::string> rendered;
  rendered.reserve(texts.size());
  for (const eqhf_string text : texts) rendered.emplace_back(OwnedText(text).view());
  return rendered;
}

}  // namespace equipoise
