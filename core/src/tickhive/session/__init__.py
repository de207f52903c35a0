"""The conversation with a venue without I/O: sessions, the subscription ledger, order books and continuity."""

from tickhive.session.book import BookCopy, BookState, OrderBook
from tickhive.session.book_view import BookView
from tickhive.session.feed import Feed
from tickhive.session.ledger import SubscriptionLedger, SubscriptionState
from tickhive.session.session import Session
from tickhive.session.statistics import SessionState, SessionStatistics
from tickhive.session.view import OutsideView

__all__ = [
    "BookCopy",
    "BookState",
    "BookView",
    "Feed",
    "OrderBook",
    "OutsideView",
    "Session",
    "SessionState",
    "SessionStatistics",
    "SubscriptionLedger",
    "SubscriptionState",
]
