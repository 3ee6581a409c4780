#include "larder/net/origin_connection.hpp"

#include <algorithm>
#include <cstring>

#include "larder/net/error.hpp"

namespace larder::net {

namespace {
constexpr std::size_t first_capacity = 16UL << 10;
// What a body that comes fast is read in: fewer and larger reads cost less per byte. A connection has as much only
// until its response ends.
constexpr std::size_t body_capacity = 256UL << 10;
// A request head that was larger than this does not keep its memory.
constexpr std::size_t usual_head = 4UL << 10;
}  // namespace

OriginConnection::OriginConnection(Socket socket, DeadlineWheel& wheel, const OriginParameters& parameters)
    : stream_(std::move(socket)),
      parameters_(parameters),
      read_timeout_(parameters.read_timeout),
      read_deadline_(wheel,
                     [this] {
                       read_expired_ = true;
                       stream_.cancel();
                     }),
      write_deadline_(wheel,
                      [this] {
                        write_expired_ = true;
                        stream_.cancel();
                      }),
      idle_deadline_(wheel, [this] { close(); }),
      input_(first_capacity) {
  fields_.reserve(32);
}

Awaitable<error_code> OriginConnection::send(std::string_view bytes) {
  iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  co_return co_await send(std::span<iovec>(&piece, 1));
}

Awaitable<error_code> OriginConnection::send(std::span<iovec> pieces) {
  write_expired_ = false;
  for (;;) {
    if (const auto error = send_now(pieces)) co_return error;
    if (pieces.empty()) co_return error_code{};
    write_deadline_.arm(read_timeout_);
    const auto error = co_await stream_.wait_writable();
    write_deadline_.disarm();
    if (closed_) co_return Error::cancelled;
    if (write_expired_) co_return Error::origin_timeout;
    if (error && error != asio::error::operation_aborted) co_return Error::origin_closed;
  }
}

error_code OriginConnection::send_now(std::span<iovec>& pieces) {
  for (;;) {
    while (!pieces.empty() && pieces.front().iov_len == 0) pieces = pieces.subspan(1);
    if (pieces.empty()) return {};
    const auto sent = stream_.try_write(pieces);
    if (!sent) return closed_ ? Error::cancelled : Error::origin_closed;
    if (*sent == 0) return {};
    for (auto n = *sent; n > 0;) {
      auto& piece = pieces.front();
      const auto step = std::min(n, piece.iov_len);
      piece = {static_cast<char*>(piece.iov_base) + step, piece.iov_len - step};
      n -= step;
      if (piece.iov_len == 0) pieces = pieces.subspan(1);
    }
  }
}

// Reads into the room there is.
Awaitable<error_code> OriginConnection::read_more() {
  read_expired_ = false;
  read_deadline_.arm(read_timeout_);
  for (;;) {
    const bool resumed = co_await stream_.wait_readable();
    if (closed_ || read_expired_) {
      read_deadline_.disarm();
      co_return closed_ ? Error::cancelled : Error::origin_timeout;
    }
    if (!resumed) continue;
    const auto n = stream_.try_read(input_.room());
    if (n && *n == 0) continue;
    read_deadline_.disarm();
    if (!n) co_return n.error() == asio::error::eof ? n.error() : error_code(Error::origin_closed);
    answered_ = true;
    input_.filled(*n);
    co_return error_code{};
  }
}

// Reading the body moves the buffer, and the head is wanted longer.
void OriginConnection::keep_head(std::size_t size) {
  head_.assign(input_.data().data(), size);
  input_.consume(size);
}

// True where a plain head is here, whole: it is in plain_ then, and its fields are in fields_.
bool OriginConnection::read_plain_head() {
  const auto data = input_.data();
  plain_ = scan_plain_response(data, parameters_.head_size, parameters_.fields, fields_);
  if (!plain_) return false;
  parser_.reset();
  plain_left_ = plain_->length;
  keep_head(plain_->size);
  const auto moved = [from = data.data(), to = head_.data()](std::string_view view) {
    return std::string_view(to + (view.data() - from), view.size());
  };
  plain_->reason = moved(plain_->reason);
  for (auto& field : fields_) field = {moved(field.name), moved(field.value)};
  return true;
}

std::optional<Result<http::ResponseHead>> OriginConnection::buffered_head(bool for_head_request) {
  plain_.reset();
  // What was looked at before was not plain, or not whole.
  if (!for_head_request && seen_ == 0 && !input_.empty() && read_plain_head()) {
    return http::ResponseHead{
        .status = plain_->status, .reason = plain_->reason, .version = http::Version::http_1_1, .fields = fields_};
  }
  const auto refuse = [this](ParseFault fault) {
    fault_ = fault;
    return Result<http::ResponseHead>(Error::origin_malformed);
  };
  auto fault = ParseFault::none;
  const auto data = input_.data();
  const auto size = data.empty() ? 0 : find_head(data, seen_, fault);
  if (fault != ParseFault::none) return refuse(fault);
  if ((size == 0 ? data.size() : size) > parameters_.head_size) return refuse(ParseFault::head_too_large);
  if (size == 0) {
    if (!input_.make_room(parameters_.head_size + 4)) return refuse(ParseFault::head_too_large);
    return std::nullopt;
  }
  keep_head(size);
  seen_ = 0;
  parser_.emplace(fields_, parameters_.fields);
  if (for_head_request) parser_->answers_head();
  if (!parser_->parse_head(head_)) return refuse(parser_->fault());
  if (parser_->status() < 100) return refuse(ParseFault::start_line);
  return http::ResponseHead{.status = parser_->status(),
                            .reason = parser_->reason(),
                            .version = parser_->version(),
                            .fields = parser_->fields()};
}

Result<std::string_view> OriginConnection::buffered_plain_body() {
  const auto piece =
      input_.data().substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(plain_left_, input_.data().size())));
  input_.consume(piece.size());
  plain_left_ -= piece.size();
  return piece;
}

Result<std::string_view> OriginConnection::buffered_body() {
  if (plain_) return buffered_plain_body();
  if (parser_->done() || input_.empty()) return std::string_view{};
  std::string_view piece;
  input_.consume(parser_->next(input_.data(), piece));
  if (parser_->fault() != ParseFault::none) {
    fault_ = parser_->fault();
    return Error::origin_malformed;
  }
  return piece;
}

Awaitable<Result<std::string_view>> OriginConnection::read_body() {
  for (;;) {
    const auto piece = buffered_body();
    if (!piece || !piece->empty() || body_done()) co_return piece;
    if (!input_.make_room(body_capacity)) {
      fault_ = ParseFault::chunk;
      co_return Error::origin_malformed;
    }
    const auto error = co_await read_more();
    if (error == asio::error::eof) {
      if (parser_ && parser_->end_of_stream()) co_return std::string_view{};
      co_return Error::origin_closed;
    }
    if (error) co_return error;
    // A full buffer means that more is coming faster than we ask: ask for more at a time.
    if (input_.is_full() && input_.capacity() < body_capacity) (void)input_.make_room(body_capacity);
  }
}

bool OriginConnection::is_reusable() const {
  if (plain_) return !closed_ && plain_left_ == 0 && input_.empty();
  // A 204 that announces a body may yet send one (RFC 9112 §6.1 forbids both).
  if (parser_ && parser_->status() == 204 &&
      (parser_->length().value_or(0) > 0 || http::find(parser_->fields(), "Transfer-Encoding") != nullptr)) {
    return false;
  }
  return !closed_ && parser_ && parser_->done() && parser_->keeps_alive() &&
         parser_->framing() != Framing::until_close && input_.empty() && parser_->status() >= 200;
}

void OriginConnection::reset() {
  plain_.reset();
  parser_.reset();
  seen_ = 0;
  answered_ = false;
  fault_ = ParseFault::none;
  read_timeout_ = parameters_.read_timeout;
  input_.clear();
  if (request_head_.capacity() > usual_head) request_head_ = {};
}

void OriginConnection::close() noexcept {
  closed_ = true;
  stream_.close(false);
}

}  // namespace larder::net
