#pragma once
// The coroutine type of every layer that suspends: concrete executor, so that nothing is type-erased on the way.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/result.hpp>

namespace larder::net {

namespace asio = boost::asio;
using boost::system::error_code;
template <class T>
using Result = boost::system::result<T>;

using Executor = asio::io_context::executor_type;
template <class T>
using Awaitable = asio::awaitable<T, Executor>;

/// Completion token: the operation's results as a tuple, errors included; never throws.
inline constexpr asio::as_tuple_t<asio::use_awaitable_t<Executor>> as_result{};

}  // namespace larder::net
