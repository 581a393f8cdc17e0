"""The REST subset that stream clients need: path in, status and JSON out."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from ntp.exchange.market import Market

PREFIX = "/api/v3/"
_QUOTES = ("USDT", "USDC", "FDUSD", "BTC", "ETH", "BNB", "EUR")
_FILTERS = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.00000000", "tickSize": "0.01000000"},
    {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
    {"filterType": "ICEBERG_PARTS", "limit": 10},
    {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": "100.00000000", "stepSize": "0.00000000"},
    {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True, "maxNotional": "9000000.00000000", "applyMaxToMarket": False, "avgPriceMins": 5},
    {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
]  # fmt: skip
_LIMITS = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
    {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61000},
]


class _Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.body = {"code": code, "msg": message}


def respond(path: str, market: Market, now_ms: int) -> tuple[int, bytes]:
    """Answer a GET; `now_ms` is the exchange's clock."""
    url = urlsplit(path)
    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
    try:
        body: Any
        match url.path.removeprefix(PREFIX):
            case "ping":
                body = {}
            case "time":
                body = {"serverTime": now_ms}
            case "exchangeInfo":
                body = _information(query, market, now_ms)
            case "depth":
                body = _depth(query, market)
            case _:
                return 404, b'{"code":-1000,"msg":"This local exchange does not serve that path."}'
    except _Refused as refused:
        return 400, msgspec.json.encode(refused.body)
    return 200, msgspec.json.encode(body)


def _depth(query: dict[str, str], market: Market) -> dict[str, Any]:
    symbol = query.get("symbol", "")
    if not symbol:
        raise _Refused(
            -1102,
            "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.",
        )
    limit = query.get("limit", "100")
    if not limit.isascii() or not limit.isdigit() or len(limit) > 20:
        raise _Refused(
            -1100,
            "Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'.",
        )
    _known([symbol], market)
    book = market.symbols[symbol].book
    bids, asks = book.best(min(int(limit), 5000) or 100)
    return {"lastUpdateId": book.last_update, "bids": bids, "asks": asks}


def _information(query: dict[str, str], market: Market, now_ms: int) -> dict[str, Any]:
    wanted = list(market.symbols)
    if "symbol" in query:
        wanted = [query["symbol"]]
    elif "symbols" in query:
        try:
            wanted = msgspec.json.decode(query["symbols"], type=list[str])
        except msgspec.DecodeError:
            raise _Refused(
                -1100, "Illegal characters found in parameter 'symbols'; legal range is a list."
            ) from None
    _known(wanted, market)
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": _LIMITS,
        "exchangeFilters": [],
        "symbols": [_symbol(symbol) for symbol in wanted],
    }


def _known(symbols: list[str], market: Market) -> None:
    if not set(symbols) <= market.symbols.keys():
        raise _Refused(-1121, "Invalid symbol.")


def _symbol(symbol: str) -> dict[str, Any]:
    quote = next((name for name in _QUOTES if symbol.endswith(name) and symbol != name), "USDT")
    return {
        "symbol": symbol, "status": "TRADING",
        "baseAsset": symbol.removesuffix(quote), "baseAssetPrecision": 8,
        "quoteAsset": quote, "quotePrecision": 8, "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8, "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": True, "ocoAllowed": True, "otoAllowed": True,
        "quoteOrderQtyMarketAllowed": True, "allowTrailingStop": True, "cancelReplaceAllowed": True,
        "isSpotTradingAllowed": True, "isMarginTradingAllowed": False,
        "filters": _FILTERS, "permissions": [], "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_MAKER"],
    }  # fmt: skip
