// Texts of others, such as names of groups, as they may stand in documents: nothing in them is markup.
#pragma once

#include <string>
#include <string_view>

namespace equipoise {

// One line of UTF-8: line ends and other control characters as spaces, bytes that are not UTF-8, and characters that
// turn the direction of text or cannot be seen, as U+FFFD. At most `longest` bytes, "…" at the end of one that was cut.
std::string plain_line(std::string_view text, std::size_t longest = 200);

// plain_line() with every character that Markdown, HTML or a table of GitHub's could read as more than itself escaped.
std::string markdown_line(std::string_view text);

// `text` as a block of code, whatever is in it: its fence is longer than any in the text.
std::string markdown_block(std::string_view text, std::string_view language);

// plain_line() as a YAML scalar in double quotes.
std::string yaml_scalar(std::string_view text);

// JSON that no text in it can end, for an element <script> of an HTML file.
std::string json_in_html(std::string json);

// plain_line() as HTML text or as the value of an attribute in double quotes; no mark "{{...}}" of a template.
std::string html_line(std::string_view text);

}  // namespace equipoise
