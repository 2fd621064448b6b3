package codec

// Label is the name of a request or push. It stands in every frame.
type Label string

// Every label of the protocol.                                direction: body → result (all with taskId)
const (
	CanConnect Label = "canConnect" // request: none → the bare body true or false
	GetUserID  Label = "getUserId"  // request: Bind → Bound (one-way without a taskId)

	Message       Label = "message"       // request: MessageRequest → MessageStored (one-way without a taskId); push: MessageBody
	MessageStatus Label = "messageStatus" // request: StatusRequest → {}; push: StatusBody

	CreateGroup      Label = "createGroup"      // request: GroupRequest → GroupCreated
	QueryGroupList   Label = "queryGroupList"   // request: GroupRequest → []GroupBody
	AddGroupMembers  Label = "addGroupMembers"  // request: GroupRequest → {}
	KickGroupMembers Label = "kickGroupMembers" // request: GroupRequest → {}
	QueryGroupInfo   Label = "queryGroupInfo"   // request: GroupRequest → GroupBody
	UpdateGroupInfo  Label = "updateGroupInfo"  // request: GroupRequest → {}
	DeleteGroup      Label = "deleteGroup"      // request: GroupRequest → {}

	QueryMessageInfo    Label = "queryMessageInfo"    // request: InfoRequest → MessageInfo
	QueryOfflineMessage Label = "queryOfflineMessage" // request: OfflineRequest → Timeline
	QueryHistory        Label = "queryHistory"        // request: HistoryRequest → Timeline
	QuerySessionList    Label = "querySessionList"    // request: SessionsRequest → SessionList

	CreateGroupNoti     Label = "createGroupNoti"     // push: GroupBody with seq
	GroupInfoUpdateNoti Label = "groupInfoUpdateNoti" // push: GroupBody with seq
	GroupMembersAddNoti Label = "groupMembersAddNoti" // push: MembersBody
	GroupMembersDelNoti Label = "groupMembersDelNoti" // push: MembersBody
	DeleteGroupNoti     Label = "deleteGroupNoti"     // push: MembersBody without memberIds

	KickedNoti   Label = "kickedNoti"   // push: ErrorBody, the server closes this connection
	MissedNoti   Label = "missedNoti"   // push: {}, pushes were dropped for this connection
	DrainNoti    Label = "drainNoti"    // push: DrainBody, the server shuts down
	ReceiveError Label = "receiveError" // push: ErrorBody, a request without taskId or a frame went wrong
)

var labels = func() map[string]Label {
	byName := map[string]Label{}
	for _, l := range []Label{
		CanConnect, GetUserID, Message, MessageStatus,
		CreateGroup, QueryGroupList, AddGroupMembers, KickGroupMembers, QueryGroupInfo, UpdateGroupInfo, DeleteGroup,
		QueryMessageInfo, QueryOfflineMessage, QueryHistory, QuerySessionList,
		CreateGroupNoti, GroupInfoUpdateNoti, GroupMembersAddNoti, GroupMembersDelNoti, DeleteGroupNoti,
		KickedNoti, MissedNoti, DrainNoti, ReceiveError,
	} {
		byName[string(l)] = l
	}
	return byName
}()

// LookupLabel gives the label that b spells, without allocating; ok is false for one that is not of the protocol.
func LookupLabel(b []byte) (l Label, ok bool) {
	l, ok = labels[string(b)]
	return l, ok
}
