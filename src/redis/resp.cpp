#include "larder/redis/resp.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <hiredis/hiredis.h>
#include <limits>
#include <new>

// Invariants of the reader:
// - hiredis calls our creation functions in document order, and an array's elements only between the array's own
//   creation and its end. So an element's address (held by hiredis as `parent->obj`) is no longer used when its
//   array's vector grows, and vectors may grow as elements really arrive instead of as announced.
// - No exception crosses hiredis: a creation function returns nullptr and leaves the reason in `fault`.
// - hiredis has no bound on bulk strings and rescans an unfinished line at every feed. Both are bounded by looking at
//   the unfinished item after each feed of at most `feed_bytes`.
namespace larder::redis {
namespace {

// hiredis moves the rest of its buffer down after each reply beyond 1 KiB: small feeds keep these moves small.
constexpr std::size_t feed_bytes = 16UL * 1024;

#if HIREDIS_MAJOR >= 1
using ElementCount = std::size_t;
#else
using ElementCount = int;
#endif

std::size_t decimal_digits(std::size_t value) noexcept {
  std::size_t digits = 1;
  while (value >= 10) {
    value /= 10;
    ++digits;
  }
  return digits;
}

void append_length(std::string& out, char kind, std::size_t length) {
  char line[24];
  line[0] = kind;
  char* end = std::to_chars(line + 1, line + sizeof(line) - 2, length).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out.append(line, end);
}

}  // namespace

struct ReplyReader::Impl {
  struct FreeReader {
    void operator()(redisReader* reader) const noexcept { redisReaderFree(reader); }
  };

  explicit Impl(ReplyLimits bounds) : limits(bounds), functions(creation_functions()) {
    reader.reset(redisReaderCreateWithFunctions(&functions));
    if (!reader) throw std::bad_alloc();
    reader->privdata = this;
  }

  static redisReplyObjectFunctions creation_functions() noexcept {
    redisReplyObjectFunctions table{};
    table.createString = [](const redisReadTask* task, char* text, std::size_t length) -> void* {
      return of(task).create_string(task, {text, length});
    };
    table.createArray = [](const redisReadTask* task, ElementCount elements) -> void* {
      return of(task).create_array(task, static_cast<std::size_t>(elements));
    };
    table.createInteger = [](const redisReadTask* task, long long value) -> void* {
      Reply* reply = of(task).place(task);
      if (reply == nullptr) return nullptr;
      reply->kind = Reply::Kind::integer;
      reply->integer = value;
      return reply;
    };
    table.createNil = [](const redisReadTask* task) -> void* { return of(task).place(task); };
#if HIREDIS_MAJOR >= 1
    table.createDouble = [](const redisReadTask* task, double, char* text, std::size_t length) -> void* {
      return of(task).create_string(task, {text, length});
    };
    table.createBool = [](const redisReadTask* task, int value) -> void* {
      Reply* reply = of(task).place(task);
      if (reply == nullptr) return nullptr;
      reply->kind = Reply::Kind::integer;
      reply->integer = value;
      return reply;
    };
#endif
    table.freeObject = [](void*) {};  // all objects are part of `root`
    return table;
  }

  static Impl& of(const redisReadTask* task) noexcept { return *static_cast<Impl*>(task->privdata); }

  void* refuse(std::string_view why) noexcept {
    if (fault.empty()) fault = why;
    return nullptr;
  }

  /// Where the object that `task` has read belongs; nullptr when a bound is passed or memory is out.
  Reply* place(const redisReadTask* task) noexcept {
    if (task->parent == nullptr) {
      root = Reply{};
      return &root;
    }
    if (++elements > limits.max_elements) {
      refuse("too many array elements");
      return nullptr;
    }
    try {
      return &static_cast<Reply*>(task->parent->obj)->elements.emplace_back();
    } catch (const std::bad_alloc&) {
      refuse("out of memory");
      return nullptr;
    }
  }

  void* create_string(const redisReadTask* task, std::string_view text) noexcept {
    // hiredis hands a bulk string over when its two closing bytes are in the buffer too, and does not look at them.
    if (task->type == REDIS_REPLY_STRING && std::memcmp(text.data() + text.size(), "\r\n", 2) != 0)
      return refuse("a bulk string is not followed by CRLF");
    const bool is_line = task->type == REDIS_REPLY_STATUS || task->type == REDIS_REPLY_ERROR;
    if (is_line && text.size() > limits.max_line_bytes) return refuse("a line is too long");
    if (!is_line && text.size() > limits.max_bulk_bytes) return refuse("a bulk string is too long");
    bytes += text.size();
    if (bytes > limits.max_reply_bytes) return refuse("a reply is too long");
    Reply* reply = place(task);
    if (reply == nullptr) return nullptr;
    reply->kind = task->type == REDIS_REPLY_ERROR    ? Reply::Kind::error
                  : task->type == REDIS_REPLY_STATUS ? Reply::Kind::status
                                                     : Reply::Kind::string;
    try {
      reply->text.assign(text);
    } catch (const std::bad_alloc&) {
      return refuse("out of memory");
    }
    return reply;
  }

  void* create_array(const redisReadTask* task, std::size_t announced) noexcept {
    std::size_t depth = 1;
    for (const redisReadTask* outer = task->parent; outer != nullptr; outer = outer->parent) ++depth;
    if (depth > limits.max_depth) return refuse("arrays are nested too deeply");
    if (announced > limits.max_elements) return refuse("too many array elements");
    Reply* reply = place(task);
    if (reply == nullptr) return nullptr;
    reply->kind = Reply::Kind::array;
    try {
      reply->elements.reserve(std::min<std::size_t>(announced, 16));  // announced is not sent yet
    } catch (const std::bad_alloc&) {
      return refuse("out of memory");
    }
    return reply;
  }

  [[nodiscard]] int unfinished_type() const noexcept {
    if (reader->ridx < 0) return -1;
#if HIREDIS_MAJOR >= 1
    return reader->task[reader->ridx]->type;
#else
    return reader->rstack[reader->ridx].type;
#endif
  }

  /// False when the item at the buffer's front can already be seen to pass a bound.
  bool unfinished_item_is_bounded() noexcept {
    const int type = unfinished_type();
    if (type < 0) return true;
    const std::string_view rest(reader->buf + reader->pos, reader->len - reader->pos);
    const std::size_t header = type == REDIS_REPLY_STRING ? rest.find("\r\n") : std::string_view::npos;
    if (header == std::string_view::npos) {
      if (rest.size() <= limits.max_line_bytes + 1) return true;  // its CR may be there already
      refuse("a line is too long");
      return false;
    }
    std::uint64_t announced = 0;  // not a number at all: hiredis has refused it already
    const auto parsed = std::from_chars(rest.data(), rest.data() + header, announced);
    if (parsed.ec != std::errc::result_out_of_range && announced <= limits.max_bulk_bytes) return true;
    refuse("a bulk string is too long");
    return false;
  }

  const ReplyLimits limits;
  redisReplyObjectFunctions functions;  // hiredis keeps a pointer to it
  std::unique_ptr<redisReader, FreeReader> reader;
  Reply root;                // the reply being read
  std::size_t elements = 0;  // of root
  std::size_t bytes = 0;     // of root
  std::string_view fault;    // one of our literals, or hiredis' errstr
};

ReplyReader::ReplyReader(ReplyLimits limits) : impl_(std::make_unique<Impl>(limits)) {}
ReplyReader::~ReplyReader() = default;

ReplyReader::Step ReplyReader::next(std::string_view& input, Reply& reply) {
  Impl& self = *impl_;
  while (self.fault.empty()) {
    void* complete = nullptr;
    if (redisReaderGetReply(self.reader.get(), &complete) != REDIS_OK) {
      self.refuse(self.reader->errstr);
      break;
    }
    if (complete != nullptr) {
      reply = std::move(self.root);
      self.root = Reply{};
      self.elements = 0;
      self.bytes = 0;
      return Step::reply;
    }
    if (!self.unfinished_item_is_bounded()) break;
    if (input.empty()) return Step::incomplete;
    const std::string_view slice = input.substr(0, feed_bytes);
    input.remove_prefix(slice.size());
    if (redisReaderFeed(self.reader.get(), slice.data(), slice.size()) != REDIS_OK) self.refuse("out of memory");
  }
  return Step::broken;
}

std::string_view ReplyReader::fault() const noexcept { return impl_->fault; }

std::size_t command_size(std::span<const std::string_view> arguments) noexcept {
  constexpr std::size_t line = 3;  // the kind's byte and CRLF
  std::size_t size = line + decimal_digits(arguments.size());
  for (const std::string_view argument : arguments)
    size += line + decimal_digits(argument.size()) + argument.size() + 2;
  return size;
}

void append_command(std::string& out, std::span<const std::string_view> arguments) {
  append_length(out, '*', arguments.size());
  for (const std::string_view argument : arguments) {
    append_length(out, '$', argument.size());
    out.append(argument);
    out.append("\r\n");
  }
}

}  // namespace larder::redis
