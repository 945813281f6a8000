#include "common/huggingface/row_file.h"

#include <simdjson.h>

#include <utility>
#include <vector>

#include "common/huggingface/rust_bridge.h"
#include "common/huggingface/rust_values.h"

namespace equipoise {

RowFile::RowFile(std::filesystem::path path, void* handle) : path_(std::move(path)), handle_(handle) {}
RowFile::RowFile(RowFile&&) noexcept = default;
RowFile& RowFile::operator=(RowFile&&) noexcept = default;
RowFile::~RowFile() = default;

void RowFile::Deleter::operator()(void* handle) const { eqhf_rows_free(static_cast<eqhf_rows*>(handle)); }

RowFile RowFile::open(const std::filesystem::path& path, const Columns& columns) {
  std::vector<eqhf_text> lent;
  for (const std::string& name : columns.required) lent.push_back(lend(name));
  for (const std::string& name : columns.optional) lent.push_back(lend(name));
  eqhf_rows* handle = nullptr;
  throw_if_failed(eqhf_rows_open(lend(path.native()), lent.data(), lent.size(), columns.required.size(), &handle),
                  path.string() + ": ");
  return RowFile(path, handle);
}

std::vector<std::string> RowFile::unread_columns() const {
  simdjson::dom::parser parser;
  simdjson::dom::array list;
  std::vector<std::string> names;
  const std::string json(view(eqhf_rows_unread_columns(static_cast<const eqhf_rows*>(handle_.get()))));
  if (parser.parse(json).get(list) != simdjson::SUCCESS) return names;
  for (const simdjson::dom::element name : list) names.emplace_back(name.get_string().value_unsafe());
  return names;
}

std::string_view RowFile::next() {
  eqhf_text json{};
  throw_if_failed(eqhf_rows_next(static_cast<eqhf_rows*>(handle_.get()), &json), path_.string() + ": ");
  return view(json);
}

std::int64_t RowFile::bytes_read() const {
  return static_cast<std::int64_t>(eqhf_rows_bytes_read(static_cast<const eqhf_rows*>(handle_.get())));
}

}  // namespace equipoise
