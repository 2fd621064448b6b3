package codec

// The bodies that the server sends: results of responses, and pushes. Times are Unix milliseconds.

// Bound is the result of getUserId.
type Bound struct {
	UserID     ID     `json:"userId"`
	ServerDate int64  `json:"serverDate"`
	Epoch      string `json:"epoch,omitempty" msgpack:"epoch,omitempty"` // another one after a restore
}

// MessageStored is the result of message.
type MessageStored struct {
	MsgID             string `json:"msgId"`
	Seq               uint64 `json:"seq"`
	ServerReceiveDate int64  `json:"serverReceiveDate"`
	State             int    `json:"state"`
}

// MessageBody is the push message, and a message in a timeline.
type MessageBody struct {
	FromUserID        ID     `json:"fromUserId"`
	ToUserID          ID     `json:"toUserId"` // 0 in a group
	ContentStr        string `json:"contentStr"`
	MsgID             string `json:"msgId"`
	SendDate          Scalar `json:"sendDate,omitzero" msgpack:"sendDate,omitempty"`
	MsgContentType    int64  `json:"msgContentType"`
	SessionID         string `json:"sessionId"` // the group; "" in a personal conversation
	ServerReceiveDate int64  `json:"serverReceiveDate"`
	State             int    `json:"state"`
	Seq               uint64 `json:"seq"`
}

// StatusBody is the push messageStatus: to the sender without a taskId when the message is stored, and to
// a message's sender when it is confirmed.
type StatusBody struct {
	MsgID             string `json:"msgId"`
	State             int    `json:"state"`
	Seq               uint64 `json:"seq"`
	ServerReceiveDate int64  `json:"serverReceiveDate,omitzero" msgpack:"serverReceiveDate,omitempty"` // with state 1
	UserID            OptID  `json:"userId,omitzero" msgpack:"userId,omitempty"`                       // who confirmed, with state 2 and 3
	SessionID         string `json:"sessionId"`                                                        // the group; "" in a personal conversation
}

// GroupCreated is the part of createGroup's result that a client of the seed knows; the whole is a GroupBody.
type GroupCreated struct {
	GroupID string `json:"groupId"`
}

// GroupBody is a group in answers, the content of createGroupNoti and groupInfoUpdateNoti, and with their userId and
// seq the result of createGroup and updateGroupInfo.
type GroupBody struct {
	GroupID        string `json:"groupId"`
	GroupName      string `json:"groupName"`
	GroupHeadImage string `json:"groupHeadImage"`
	Creator        ID     `json:"creator"`
	MemberIDs      IDs    `json:"memberIds"` // without the creator; never null
	UpdateDate     int64  `json:"updateDate"`
	CreateDate     int64  `json:"createDate"`
	UserID         OptID  `json:"userId,omitzero" msgpack:"userId,omitempty"` // in a notice: who did it
	Seq            uint64 `json:"seq,omitzero" msgpack:"seq,omitempty"`       // in a notice; none in a result when nothing changed
}

// MembersBody is the content of groupMembersAddNoti and groupMembersDelNoti, and without memberIds of
// deleteGroupNoti; and the result of the requests that caused them. When such a request changed nothing, its result
// has empty memberIds, and neither seq nor serverReceiveDate.
type MembersBody struct {
	GroupID           string `json:"groupId"`
	MemberIDs         IDs    `json:"memberIds,omitzero" msgpack:"memberIds,omitempty"` // nil in deleteGroupNoti
	UserID            ID     `json:"userId"`                                           // who did it
	Seq               uint64 `json:"seq,omitzero" msgpack:"seq,omitempty"`
	ServerReceiveDate int64  `json:"serverReceiveDate,omitzero" msgpack:"serverReceiveDate,omitempty"`
}

// MessageInfo is the result of queryMessageInfo: the message, and for a group who has confirmed it.
type MessageInfo struct {
	MessageBody
	DeliveredCount *int `json:"deliveredCount,omitzero" msgpack:"deliveredCount,omitempty"` // groups only
	ReadCount      *int `json:"readCount,omitempty" msgpack:"readCount,omitempty"`          // groups only
}

// TimelineItem is an entry of a timeline: the label and content of the push that announced it.
// Content is *MessageBody, *GroupBody or *MembersBody.
type TimelineItem struct {
	LabelName Label `json:"labelName"`
	Content   any   `json:"content"`
}

// Timeline is the result of queryHistory and queryOfflineMessage.
type Timeline struct {
	Messages []TimelineItem `json:"messages"` // never null
	More     bool           `json:"more"`
	FirstSeq uint64         `json:"firstSeq,omitzero" msgpack:"firstSeq,omitempty"` // queryHistory: the oldest seq that still exists
}

// SessionBody is one conversation of querySessionList.
type SessionBody struct {
	SessionID    string       `json:"sessionId,omitempty" msgpack:"sessionId,omitempty"` // the group, or
	PeerID       OptID        `json:"peerId,omitzero" msgpack:"peerId,omitempty"`        // the other user
	Seq          uint64       `json:"seq"`
	ReadSeq      uint64       `json:"readSeq"`
	DeliveredSeq uint64       `json:"deliveredSeq"`
	Unread       int          `json:"unread"`
	LastMessage  *MessageBody `json:"lastMessage,omitzero" msgpack:"lastMessage,omitempty"`
	UpdateDate   int64        `json:"updateDate"`
}

// SessionList is the result of querySessionList.
type SessionList struct {
	Sessions []SessionBody `json:"sessions"` // never null
	More     bool          `json:"more"`
	After    string        `json:"after,omitempty" msgpack:"after,omitempty"`
}

// ErrorBody is the push receiveError and kickedNoti.
type ErrorBody struct {
	Code   int    `json:"code"`
	Error  string `json:"error"`
	Reason string `json:"reason,omitempty" msgpack:"reason,omitempty"` // in kickedNoti, one of those below
	Label  string `json:"label,omitempty" msgpack:"label,omitempty"`   // of the request
	MsgID  string `json:"msgId,omitempty" msgpack:"msgId,omitempty"`   // of the message
}

// Why kickedNoti closes a connection.
const (
	ReasonDevice = "device" // this device connected again
	ReasonLimit  = "limit"  // the user has too many connections
)

// DrainBody is the push drainNoti.
type DrainBody struct {
	Error        string `json:"error"`
	RetryAfterMs int64  `json:"retryAfterMs"`
}

// Empty is the result of labels that have nothing to say.
type Empty struct{}
